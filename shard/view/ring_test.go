package view

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/lockstepkv/lockstep/store/keyslot"
)

func firstShards(n int) []int {
	ids := make([]int, n)
	for i := range ids {
		ids[i] = i
	}
	return ids
}

func slotsPerShard(r *Ring) map[int]int {
	counts := map[int]int{}
	for slot := range keyslot.Count {
		counts[r.ShardOf(uint16(slot))]++
	}
	return counts
}

// fullestToMean is the load of the fullest shard over the mean load.
func fullestToMean(r *Ring) float64 {
	fullest := 0
	for _, n := range slotsPerShard(r) {
		fullest = max(fullest, n)
	}
	return float64(fullest) * float64(len(r.Shards())) / keyslot.Count
}

// movedSlots counts the slots that change hands, and those of them that end on
// another shard than the new one.
func movedSlots(before, after *Ring, added int) (moved, elsewhere int) {
	for slot := range keyslot.Count {
		from, to := before.ShardOf(uint16(slot)), after.ShardOf(uint16(slot))
		if from == to {
			continue
		}
		moved++
		if to != added {
			elsewhere++
		}
	}
	return moved, elsewhere
}

func TestRingAddingFifthShard(t *testing.T) {
	before, after := NewRing(firstShards(4), DefaultVirtualNodes), NewRing(firstShards(5), DefaultVirtualNodes)
	moved, elsewhere := movedSlots(before, after, 4)
	share := float64(moved) / keyslot.Count
	t.Logf("4 -> 5 shards: %d of %d slots move (%.2f %%), %d of them to an old shard", moved, keyslot.Count, 100*share, elsewhere)
	t.Logf("fullest shard / mean: %.4f with 4 shards, %.4f with 5", fullestToMean(before), fullestToMean(after))
	if share < 0.15 || share > 0.25 {
		t.Errorf("%.2f %% of the slots move, want 15 to 25 %%", 100*share)
	}
	if elsewhere != 0 {
		t.Errorf("%d slots move between old shards", elsewhere)
	}
}

func TestRingBalance(t *testing.T) {
	for n := 1; n <= 32; n++ {
		r := NewRing(firstShards(n), DefaultVirtualNodes)
		ratio := fullestToMean(r)
		if n == 1 {
			t.Logf("%2d shard:  fullest/mean %.4f, %d range", n, ratio, len(r.Ranges(0)))
			continue
		}
		moved, elsewhere := movedSlots(NewRing(firstShards(n-1), DefaultVirtualNodes), r, n-1)
		t.Logf("%2d shards: fullest/mean %.4f, the last one took %.2f %% (1/N = %.2f %%)", n, ratio, 100*float64(moved)/keyslot.Count, 100/float64(n))
		if ratio > 1.15 {
			t.Errorf("%d shards: the fullest holds %.4f times the mean, want at most 1.15", n, ratio)
		}
		if elsewhere != 0 {
			t.Errorf("%d shards: %d slots moved between old shards", n, elsewhere)
		}
		if took := float64(moved) / keyslot.Count * float64(n); took < 0.75 || took > 1.25 {
			t.Errorf("%d shards: the last one took %.4f of its fair share", n, took)
		}
	}
}

// The placement is part of the format of the data: it must never change.
func TestRingPlacementIsFrozen(t *testing.T) {
	for shards, want := range map[int]string{4: "907d8de3488e9d31", 32: "d9a0633b6501ecdf"} {
		r := NewRing(firstShards(shards), DefaultVirtualNodes)
		h := sha256.New()
		for slot := range keyslot.Count {
			fmt.Fprintf(h, "%d ", r.ShardOf(uint16(slot)))
		}
		if got := hex.EncodeToString(h.Sum(nil)[:8]); got != want {
			t.Errorf("%d shards: the placement's digest is %s, want %s", shards, got, want)
		}
	}
}

func TestRingProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ids := rapid.SliceOfNDistinct(rapid.IntRange(0, 1000), 1, 12, rapid.ID[int]).Draw(t, "shards")
		vnodes := rapid.IntRange(1, 200).Draw(t, "vnodes")
		r := NewRing(ids, vnodes)
		shuffled := rapid.Permutation(ids).Draw(t, "order")
		if again := NewRing(shuffled, vnodes); again.slots != r.slots {
			t.Fatal("the order of the shards changes the placement")
		}
		checkRanges(t, r)
		if len(ids) > 1 {
			smaller := NewRing(ids[1:], vnodes)
			if _, elsewhere := movedSlots(smaller, r, ids[0]); elsewhere != 0 {
				t.Fatalf("%d slots move between old shards", elsewhere)
			}
		}
	})
}

// checkRanges: the ranges of all shards cover each slot once, are in order and maximal.
func checkRanges(t *rapid.T, r *Ring) {
	var owner [keyslot.Count]int
	for i := range owner {
		owner[i] = -1
	}
	for _, id := range r.Shards() {
		last := -2
		for _, rg := range r.Ranges(id) {
			if int(rg[0]) <= last+1 || rg[1] < rg[0] {
				t.Fatalf("shard %d: range %v after slot %d", id, rg, last)
			}
			for slot := int(rg[0]); slot <= int(rg[1]); slot++ {
				if owner[slot] != -1 {
					t.Fatalf("slot %d is listed twice", slot)
				}
				owner[slot] = id
			}
			last = int(rg[1])
		}
	}
	for slot, id := range owner {
		if id != r.ShardOf(uint16(slot)) {
			t.Fatalf("slot %d is listed for %d, owned by %d", slot, id, r.ShardOf(uint16(slot)))
		}
	}
}

func TestRingWithoutShards(t *testing.T) {
	r := NewRing(nil, 0)
	if got := r.ShardOf(7); got != -1 {
		t.Errorf("owner %d, want -1", got)
	}
	if got := r.Ranges(0); got != nil {
		t.Errorf("ranges %v of a shard that is not there", got)
	}
}

func BenchmarkRingShardOf(b *testing.B) {
	r := NewRing(firstShards(8), DefaultVirtualNodes)
	for i := 0; b.Loop(); i++ {
		_ = r.ShardOf(uint16(i) % keyslot.Count)
	}
}
