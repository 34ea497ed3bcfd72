package fsm

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
)

// The reply to an id keeps its own bytes, and not the long key that the value lay behind.
func TestKeptRepliesKeepNoKeys(t *testing.T) {
	r := withBudget(64 << 20)
	before := heap()
	const rounds, length = 200, 200_000
	for i := range int64(rounds) {
		key := fmt.Sprint(i, strings.Repeat("k", length))
		r.apply(entryOf(2+i, ownedBatch(uint64(1+i), "a", "SET "+key+" v", fmt.Sprintf("ONCE id%d GETDEL %s", i, key))))
	}
	if n := len(r.f.once.records); n != rounds {
		t.Fatalf("%d replies are kept, want %d", n, rounds)
	}
	if grown := heap() - before; grown > rounds*length/4 {
		t.Errorf("%d replies of one byte take %d KiB", rounds, grown>>10)
	}
	runtime.KeepAlive(r)
}

// Of a restored state, what is forgotten is free, whatever else is still there.
func TestRestoredRepliesAreFreedOneByOne(t *testing.T) {
	r := withBudget(64 << 20)
	const length = 8 << 20
	value := strings.Repeat("v", length)
	for i, c := range []string{"SET k " + value, "ONCE large GETDEL k", "ONCE small INCR n", "ONCE short SET s v"} {
		r.apply(entryOf(int64(2+i), ownedBatch(uint64(1+i), "", c)))
	}
	r.apply(entryOf(9, ownedBatch(5, "", "ONCE last SET s w GET"), ownedBatch(6, "", "DEL s")))
	r = restored(t, r)
	if got := r.f.once.records["large"]; got == nil || len(got.reply.Str) != length {
		t.Fatal("the large reply was not restored")
	}
	before := heap()
	r.f.once.Forget([]byte("large"))
	if freed := before - heap(); freed < length*3/4 {
		t.Errorf("%d KiB of %d are free", freed>>10, length>>10)
	}
	runtime.KeepAlive(r)
}
