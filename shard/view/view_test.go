package view

import (
	"errors"
	"slices"
	"testing"

	"github.com/lockstepkv/lockstep/store/keyslot"
)

func three() []Peer { return []Peer{{"n1", "a:1"}, {"n2", "a:2"}, {"n3", "a:3"}} }

// halves has a view of two shards: the lower half of the slots on n1 and n2, the rest on n2
// and n3.
func halves(epoch uint64) Parts {
	return Parts{
		Epoch: epoch, Peers: three(), Holders: [][]string{{"n1", "n2"}, {"n2", "n3"}},
		ShardOf: func(slot uint16) int { return int(slot) / (keyslot.Count / 2) },
	}
}

func TestWholeView(t *testing.T) {
	v := Whole(three(), 3)
	ring := RingOf(3)
	for slot := range uint16(keyslot.Count) {
		if s := ring.ShardOf(slot); v.ShardOf(slot) != s || !v.SlotsOf(s).Has(slot) {
			t.Fatalf("slot %d is on shard %d", slot, v.ShardOf(slot))
		}
	}
	for s := range 3 {
		if !slices.Equal(v.RangesOf(s), ring.Ranges(s)) || !slices.Equal(v.HoldersOf(s), []string{"n1", "n2", "n3"}) {
			t.Errorf("shard %d: %v, %v", s, v.RangesOf(s), v.HoldersOf(s))
		}
	}
	if p, known := v.Peer("n2"); !known || p.Addr != "a:2" || v.Shards() != 3 || len(v.Peers()) != 3 {
		t.Errorf("%+v", v.Peers())
	}
}

func TestViewOfSomeReplicas(t *testing.T) {
	v, err := New(halves(7))
	if err != nil {
		t.Fatal(err)
	}
	if v.Holds("n1", 1) || !v.Holds("n2", 1) || v.Holds("n4", 0) || v.ShardOf(8191) != 0 || v.ShardOf(8192) != 1 {
		t.Errorf("%+v", v.HoldersOf(1))
	}
}

func TestViewsThatCannotBe(t *testing.T) {
	stranger, outside, lost := halves(1), halves(1), halves(1)
	lost.Holders[0] = nil
	stranger.Holders[1][1] = "n9"
	outside.ShardOf = func(uint16) int { return 2 }
	for name, p := range map[string]Parts{"a stranger": stranger, "a shard that there is not": outside, "a shard without replicas": lost} {
		if _, err := New(p); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

// TestCurrentGoesForward only, and tells who waits.
func TestCurrentGoesForward(t *testing.T) {
	old, err := New(halves(1))
	if err != nil {
		t.Fatal(err)
	}
	newer, err := New(halves(3))
	if err != nil {
		t.Fatal(err)
	}
	c := NewCurrent(old)
	v, next := c.Changed()
	if ok, err := c.Set(Whole(three(), 2)); ok || err != nil || c.Get() != old || v != old {
		t.Errorf("a view of the same epoch is in force: %v", err)
	}
	select {
	case <-next:
		t.Error("a change was told")
	default:
	}
	if ok, err := c.Set(newer); !ok || err != nil || c.Get() != newer {
		t.Errorf("the newer view is not in force: %v", err)
	}
	<-next
	if v, next = c.Changed(); v != newer {
		t.Error("not the newer view")
	}
	select {
	case <-next:
		t.Error("a second change was told")
	default:
	}
	if ok, err := c.Set(Whole(three(), 3)); ok || !errors.Is(err, ErrOtherShards) {
		t.Errorf("other shards: %v", err)
	}
}
