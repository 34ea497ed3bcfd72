package fsm

import (
	"bytes"
	"fmt"
	"os"
	"testing"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/fsm/commandset"
	"github.com/lockstepkv/lockstep/resp"
	"github.com/lockstepkv/lockstep/store"
	"github.com/lockstepkv/lockstep/store/keyslot"
)

// logged is a replica that has applied what the states in testdata had, which a version
// wrote that kept no slots.
func logged(refuse bool) *replica {
	r := &replica{f: newTestFSM()}
	const start = 1_700_000_000_000
	r.apply(entryOf(start, ownedBatch(1, "10.0.0.1", "ONCE first INCR n", "ONCE second SET k v", "SET gone x")))
	r.apply(entryOf(start+DefaultOnceMillis, ownedBatch(2, "10.0.0.2", "ONCE third INCR n", "DEL gone", "FENCED elsewhere 1 SET k w")))
	r.apply(entryOf(start+1+DefaultOnceMillis, batch("n1", 1, 3, 2, "LS.LOCK job 60000 owner 0 t n1 1")))
	if refuse {
		r.apply([]byte{7})
	}
	return r
}

// TestFormerStatesAreRead: what they remember is known as before, in every slot, and notes
// come to the same. A change of what notes come to takes another NoteFormat, so that nodes
// of both versions are not compared.
func TestFormerStatesAreRead(t *testing.T) {
	for _, c := range []struct {
		file     string
		refuse   bool
		stateSum uint64
	}{{"testdata/state-4.rdb", false, 15598416511786715062}, {"testdata/state-5.rdb", true, 7844657520193393471}} {
		file, err := os.Open(c.file)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		old := &replica{f: newTestFSM(), index: 9}
		if err := old.f.RestoreFrom(file); err != nil {
			t.Fatalf("%s: %v", c.file, err)
		}
		anew := logged(c.refuse)
		if a, b := old.f.stateSum(), anew.f.stateSum(); a != c.stateSum || b != c.stateSum {
			t.Errorf("%s: notes are of %d, those of the same log %d, want %d", c.file, a, b, c.stateSum)
		}
		for _, slot := range []uint16{keyslot.OfString("k"), 9999} {
			if _, items := old.f.SlotSum(slot); items < 5 {
				t.Errorf("%s: slot %d has %d items, want all three ids and both fences", c.file, slot, items)
			}
		}
		for _, r := range []*replica{old, restored(t, old)} {
			replies := r.apply(entryOf(1, ownedBatch(7, "10.0.0.1", "ONCE third INCR n", "ONCE first INCR n", "ONCE third SET k v", "ONCE new SET k v")))[0].Replies
			for i, want := range []string{"", "ONCEEXPIRED", "ONCEMISMATCH", ""} {
				if got := codeOf(replies[i]); got != want {
					t.Errorf("%s: reply %d is %q, want %q", c.file, i, replies[i].Str, want)
				}
			}
		}
	}
}

func codeOf(v resp.Value) string {
	if !v.IsError() {
		return ""
	}
	return resp.Error(v.Str).Code()
}

// TestWhatBelongsToASlot: each id, forgotten or not, to the slot of the first key of its
// command, each fence to the slots of the keys that have seen it and, where the lock is
// granted, to that of its name, each removal to the slot of the key.
func TestWhatBelongsToASlot(t *testing.T) {
	r := &replica{f: newTestFSM()}
	const start = 1_700_000_000_000
	r.apply(entryOf(start, ownedBatch(1, "a", "ONCE early SET a v", "ONCE pair MSET a 1 b 2", "SET c v")))
	r.apply(entryOf(start+DefaultOnceMillis, ownedBatch(2, "a",
		"ONCE fenced FENCED elsewhere 1 SET b v", "ONCE txn LS.TXN IF 1 c EXISTS 1 THEN 1 3 SET b w ELSE 0",
		"FENCED elsewhere 1 MSET c 1 d 2", "DEL d", "LS.LOCK e 60000 owner 0 t n1 1")))
	fence := uint64(0)
	r.f.View(Stamp{}, func(ctx *command.Ctx) { fence = ctx.Locks.LastFence() })
	r.apply(entryOf(start+DefaultOnceMillis, ownedBatch(3, "a", fmt.Sprintf("FENCED e %d SET a v", fence))))
	want := map[string]int{
		"a":         2 + 1, // two forgotten ids; the fence of e
		"b":         1 + 1, // the id fenced; the fence of elsewhere
		"c":         1 + 1, // the id txn; the fence of elsewhere
		"d":         1 + 1, // the fence of elsewhere; the removal
		"e":         1,     // the grant
		"elsewhere": 0,     // nobody was granted that lock here
	}
	for _, r := range []*replica{r, restored(t, r)} {
		for key, items := range want {
			if _, got := r.f.SlotSum(keyslot.OfString(key)); got != items {
				t.Errorf("the slot of %q has %d items, want %d", key, got, items)
			}
		}
	}
	back := restored(t, r)
	for slot := range uint16(store.SlotCount) {
		a, n := r.f.SlotSum(slot)
		if b, m := back.f.SlotSum(slot); a != b || n != m {
			t.Fatalf("slot %d: %d items that come to %d are restored as %d that come to %d", slot, n, a, m, b)
		}
	}
}

// TestFencesThatWereSeenEverywhere belong to every slot, with a bound on what that takes.
func TestFencesThatWereSeenEverywhere(t *testing.T) {
	r := &replica{f: newTestFSM()}
	for i := range int64(20) {
		r.apply(entryOf(1_700_000_000_000, batch("n1", 1, uint64(i)+1, uint64(i), fmt.Sprintf("FENCED l 1 SET key:%d v", i))))
		_, first := r.f.SlotSum(keyslot.OfString("key:0"))
		_, other := r.f.SlotSum(keyslot.OfString("other"))
		if wide := i >= 6; first != 1 || other == 1 != wide {
			t.Errorf("after %d keys the first one's slot has %d fences, another %d", i+1, first, other)
		}
	}
	if a, b := r.f.Digest(), restored(t, r).f.Digest(); a != b {
		t.Errorf("%+v is restored as %+v", a, b)
	}
}

// TestStatesThatAreCutAreRefused wherever the cut is.
func TestStatesThatAreCutAreRefused(t *testing.T) {
	whole := bytes.Join(logged(false).f.encodeState(), nil)
	for n := range whole {
		if err := newTestFSM().decodeState(whole[:n]); err == nil {
			t.Errorf("%d of %d bytes are a state", n, len(whole))
		}
	}
	if err := newTestFSM().decodeState(append(whole, 0)); err == nil {
		t.Error("a byte too many is no error")
	}
}

// setOf is the set of the slots of the given keys.
func setOf(keys ...string) *keyslot.Set {
	set := new(keyslot.Set)
	for _, key := range keys {
		set.Add(keyslot.OfString(key))
	}
	return set
}

// TestCommandsOnForeignSlotsAreRefused when they are applied and when they read, whoever sent
// them here: with all of a transaction, and without a trace.
func TestCommandsOnForeignSlotsAreRefused(t *testing.T) {
	r := &replica{f: New(Options{Table: commandset.New(), Slots: setOf("a", "b")})}
	r.apply(entryOf(1, batch("n1", 1, 1, 0, "MSET a 1 b 2")))
	before, versions := r.f.Digest().Sum, r.f.store.Revision()
	multi := func(watch string, cmds ...string) Batch {
		var b command.Batch
		var watches []command.Watch
		if watch != "" {
			watches = append(watches, command.Watch{Key: []byte(watch), Version: 1 << 63})
		}
		var list []command.Args
		for _, c := range cmds {
			list = append(list, bytes.Fields([]byte(c)))
		}
		b.AddMulti(watches, list)
		return Batch{Node: "n1", Boot: 1, Seq: 3, Acked: 2, Units: b.N, Body: b.Body}
	}
	for i, b := range []Batch{
		batch("n1", 1, 2, 1, "SET c v"),
		batch("n1", 1, 2, 1, "GET c"),
		batch("n1", 1, 2, 1, "MSET a 5 c 5"),
		batch("n1", 1, 2, 1, "RENAME a c"),
		batch("n1", 1, 2, 1, "FENCED a 1 SET c v"), // not the lock counts, but the key
		batch("n1", 1, 2, 1, "LS.LOCK c 60000 owner 0 t n1 1"),
		batch("n1", 1, 2, 1, "LS.TXN IF 1 c EXISTS 0 THEN 1 3 SET a v ELSE 0"),
		ownedBatch(2, "owner", "ONCE id SET c v"),
		ownedBatch(2, "owner", "ONCE id FENCED a 1 SET c v"),
		multi("", "SET a 7", "GET c"),
		multi("c", "SET a 7"),
	} {
		b.Seq, b.Acked = uint64(i)+2, uint64(i)+1
		replies := r.apply(entryOf(int64(i)+2, b))[0].Replies
		if len(replies) != 1 || replies[0].Class() != resp.ClassElsewhere || codeOf(replies[0]) != "TRYAGAIN" {
			t.Errorf("batch %d: %+v", i, replies)
		}
	}
	if f := r.f.OnceFigures(); r.f.Digest().Sum != before || r.f.store.Revision() != versions || f.Replies != 0 || r.f.locks.Len() != 0 {
		t.Errorf("something was changed: %+v", f)
	}
	r.f.View(Stamp{}, func(ctx *command.Ctx) {
		for key, want := range map[string]resp.Class{"a": resp.ClassNone, "c": resp.ClassElsewhere} {
			args := command.Args{[]byte("GET"), []byte(key)}
			sp, op := parsed(t, ctx.Table, args)
			if got := sp.Answer(ctx, args, op).Class(); got != want {
				t.Errorf("reading %s answers class %d", key, got)
			}
		}
	})
	if got := r.apply(entryOf(1_700_000_000_000, ownedBatch(20, "owner", "ONCE id SET b v", "FENCED elsewhere 1 SET a v")))[0].Replies; got[0].IsError() || got[1].IsError() {
		t.Errorf("on its own slots: %+v", got)
	}
}

func parsed(t *testing.T, table *command.Table, args command.Args) (*command.Spec, command.Op) {
	t.Helper()
	sp, err := table.CheckData(args)
	if err != nil {
		t.Fatal(err)
	}
	op, err := sp.Parse(args)
	if err != nil {
		t.Fatal(err)
	}
	return sp, op
}

// TestOwnedSlotsAreRestored: a state has its own, one of a former version those that the
// replica was made with.
func TestOwnedSlotsAreRestored(t *testing.T) {
	f := New(Options{Table: commandset.New(), Slots: setOf("a", "b", "{a}c")})
	var state bytes.Buffer
	if _, err := f.WriteState(&state); err != nil {
		t.Fatal(err)
	}
	back := newTestFSM()
	if err := back.RestoreFrom(&state); err != nil {
		t.Fatal(err)
	}
	if got := back.Slots(); got.Len() != 2 || !got.Has(keyslot.OfString("a")) || !got.Has(keyslot.OfString("b")) || back.Digest() != f.Digest() {
		t.Errorf("%v", got.Ranges())
	}
	file, err := os.Open("testdata/state-4.rdb")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := f.RestoreFrom(file); err != nil || f.Slots().Len() != 2 {
		t.Errorf("%v, %v", f.Slots().Ranges(), err)
	}
}

// TestSlotsCostNoAllocation in SET and GET.
func TestSlotsCostNoAllocation(t *testing.T) {
	whole, part := New(Options{Table: commandset.New()}), New(Options{Table: commandset.New(), Slots: setOf("key")})
	run := func(f *FSM, words ...string) float64 {
		var args command.Args
		for _, w := range words {
			args = append(args, []byte(w))
		}
		ctx := command.Ctx{Table: f.opt.Table, Store: f.store, Slots: f.slots, Locks: f.locks, InLog: true}
		return testing.AllocsPerRun(200, func() {
			if v := f.opt.Table.Exec(&ctx, args); v.IsError() {
				t.Fatalf("%q", v.Str)
			}
		})
	}
	for _, words := range [][]string{{"SET", "key", "value"}, {"GET", "key"}, {"MSET", "key", "1", "{key}2", "2"}} {
		if a, b := run(whole, words...), run(part, words...); b > a {
			t.Errorf("%q takes %v allocations, %v where slots are looked at", words, a, b)
		}
	}
}
