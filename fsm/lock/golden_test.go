package lock

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"testing"
)

// goldenTable has locks that are held with and without waiters, waiters of two nodes, one
// that left, one that was served, a floor and a lock that is free again.
func goldenTable() *Table {
	tab := NewTable(false)
	tab.SetWall(500)
	request := func(name, token, node string, boot uint64, wait int64) Request {
		return Request{Name: name, Token: token, Owner: "owner of " + token, TTLMillis: 1000, WaitMillis: wait, Node: node, Boot: boot}
	}
	for i, name := range []string{"m", "a", "z", "a\x00", "free"} {
		tab.Acquire(t0+int64(i), request(name, "h"+name, "n1", 1, 0))
	}
	for i := range 12 {
		name := []string{"m", "a", "z"}[i%3]
		tab.Acquire(t0+10, request(name, fmt.Sprint("w", i), fmt.Sprint("n", 1+i%2), uint64(i), int64(60_000+200*(i%5))))
	}
	tab.RaiseFloor(t0+20, 500_380_467_300_000)
	tab.Release(t0+30, []byte("m"), []byte("hm"))
	tab.Cancel(t0+30, []byte("z"), []byte("w5"), false)
	tab.Release(t0+40, []byte("free"), []byte("hfree"))
	tab.DropNode("n2", 4)
	tab.Renew(t0+50, []byte("a"), []byte("ha"), 90_000)
	return tab
}

// TestEncodingIsThatOfOldSnapshots: nodes of several versions compare sums, and a node reads
// the snapshots that the version before it has written.
func TestEncodingIsThatOfOldSnapshots(t *testing.T) {
	tab := goldenTable()
	encoded := tab.AppendTo(nil)
	sum := sha256.Sum256(encoded)
	if got := hex.EncodeToString(sum[:8]); len(encoded) != goldenBytes || got != goldenHash || tab.Sum() != goldenSum {
		t.Errorf("%d bytes with hash %s, sum %#x; want %d, %s, %#x", len(encoded), got, tab.Sum(), goldenBytes, goldenHash, uint64(goldenSum))
	}
	again, rest, err := Decode(encoded, false)
	if err != nil || len(rest) != 0 || !bytes.Equal(again.AppendTo(nil), encoded) || again.Sum() != tab.Sum() {
		t.Errorf("%v, %d bytes left, sum %#x", err, len(rest), again.Sum())
	}
}

const (
	goldenBytes = 524
	goldenHash  = "ce0f78b41eb5273d"
	goldenSum   = 0x4ee31631f2b09bbc
)
