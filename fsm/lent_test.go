package fsm

import (
	"bytes"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/internal/heapuse"
)

// lentBatch sets k to value.
func lentBatch(value []byte) Batch {
	var u command.Batch
	u.Add(command.Args{[]byte("SET"), []byte("k"), value})
	return Batch{Node: LargeBatches("n1"), Boot: 3, Seq: 1, Units: u.N, Parts: u.Parts, Body: u.Body}
}

// fragmentsOf are the log entries of an entry with one batch.
func fragmentsOf(b Batch) (all [][]byte) {
	e := Entry{StampMillis: 1, MonoMillis: 1, Batches: []Batch{b}}
	for c := Cut(&e, 1); !c.Done(); {
		all = append(all, c.Next())
	}
	return all
}

// lending returns a replica to which units are lent as those of b.
func lending(b Batch, units [][]byte) *replica {
	return &replica{f: New(Options{Table: command.NewTable(), Lend: func(node string, boot, seq uint64) [][]byte {
		if node == b.Node && boot == b.Boot && seq == b.Seq {
			return units
		}
		return nil
	}})}
}

func (r *replica) value() (v []byte) {
	r.f.View(Stamp{}, func(ctx *command.Ctx) {
		if e := ctx.Lookup([]byte("k")); e != nil {
			v = e.Bytes()
		}
	})
	return v
}

// A large value that the node has in memory takes no more when it comes through the log, and
// stays where it was.
func TestLentValueIsNotCopied(t *testing.T) {
	value := bytes.Repeat([]byte("0123456789abcdef"), 4<<20)
	b := lentBatch(value)
	fragments := fragmentsOf(b)
	remote := Batch{Node: b.Node, Boot: b.Boot, Seq: b.Seq, Units: b.Units, Body: slices.Concat(b.Segments()...)}
	for name, units := range map[string][][]byte{"in parts": b.Segments(), "as a whole": {remote.Body}} {
		r := lending(b, units)
		used := heapuse.Of(func() {
			for _, f := range fragments {
				r.apply(f)
			}
		})
		if used > 4<<20 {
			t.Errorf("%s: %d MiB were allocated for a value of %d MiB", name, used>>20, len(value)>>20)
		}
		got := r.value()
		if !bytes.Equal(got, value) {
			t.Fatalf("%s: %d bytes, want %d", name, len(got), len(value))
		}
		if at := units[min(1, len(units)-1)]; &got[len(got)-1] != &at[len(at)-1] {
			t.Errorf("%s: the value is not where it was lent", name)
		}
	}
}

// What is lent makes no difference to the state, in the midst of an entry or at its end, and
// however it is divided; bytes that differ from those in the log end the loan.
func TestReplicaThatIsLentAgrees(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		value := bytes.Repeat([]byte{'v'}, rapid.IntRange(MaxEntryBytes+1, 2*MaxEntryBytes).Draw(t, "length"))
		b := lentBatch(value)
		units := b.Segments()
		if rapid.Bool().Draw(t, "divided elsewhere") {
			whole := slices.Concat(units...)
			at := rapid.IntRange(1, len(whole)-1).Draw(t, "at")
			if rapid.Bool().Draw(t, "near the beginning") {
				at = min(at, 1+at%16)
			}
			units = [][]byte{whole[:at], whole[at:]}
		}
		if rapid.Bool().Draw(t, "other bytes") {
			units = [][]byte{slices.Concat(units...)}
			units[0][rapid.IntRange(0, len(units[0])-1).Draw(t, "byte")]++
		}
		if rapid.IntRange(0, 9).Draw(t, "other length") == 0 {
			units = [][]byte{slices.Concat(units...)[1:]}
		}
		with, without := lending(b, units), &replica{f: newTestFSM()}
		fragments := fragmentsOf(b)
		stop := rapid.IntRange(1, len(fragments)).Draw(t, "restored after")
		for i, f := range fragments {
			with.apply(f)
			without.apply(f)
			if a, b := with.f.Digest(), without.f.Digest(); a != b {
				t.Fatalf("after %d fragments: %+v, want %+v", i+1, a, b)
			}
			if i+1 == stop {
				with = restored(t, with)
			}
		}
		if got := with.value(); !bytes.Equal(got, value) {
			t.Fatalf("a value of %d bytes, want %d", len(got), len(value))
		}
	})
}

// A leader that gave up and another one that begins anew.
func TestLoanOfAnInterruptedEntry(t *testing.T) {
	value := bytes.Repeat([]byte("x"), 3*MaxEntryBytes)
	b := lentBatch(value)
	r := lending(b, b.Segments())
	for _, f := range fragmentsOf(b)[:4] {
		r.apply(f)
	}
	if r.f.partial.lent == nil || r.f.partial.come() < 3*FragmentBytes {
		t.Fatalf("%d bytes have come, %d parts are lent", r.f.partial.come(), len(r.f.partial.lent))
	}
	e := Entry{StampMillis: 2, Batches: []Batch{b}}
	for c := Cut(&e, 2); !c.Done(); {
		r.apply(c.Next())
	}
	if got := r.value(); !bytes.Equal(got, value) || r.f.partial.lent != nil {
		t.Errorf("a value of %d bytes, want %d", len(got), len(value))
	}
}
