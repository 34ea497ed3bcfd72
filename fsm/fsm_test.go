package fsm

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	"pgregory.net/rapid"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/internal/heapuse"
	"github.com/lockstepkv/lockstep/resp"
)

func newTestFSM() *FSM { return New(Options{Table: command.NewTable()}) }

// replica feeds entries to a state machine as Raft would.
type replica struct {
	f     *FSM
	index uint64
	term  uint64
}

func (r *replica) apply(data []byte) []BatchResult {
	r.index++
	out, _ := r.f.Apply(&raft.Log{Type: raft.LogCommand, Index: r.index, Term: max(r.term, 1), Data: data}).([]BatchResult)
	return out
}

func units(cmds ...string) command.Batch {
	var b command.Batch
	for _, c := range cmds {
		var args command.Args
		for _, w := range strings.Fields(c) {
			args = append(args, []byte(w))
		}
		b.Add(args)
	}
	return b
}

func batch(node string, boot, seq, acked uint64, cmds ...string) Batch {
	u := units(cmds...)
	return Batch{Node: node, Boot: boot, Seq: seq, Acked: acked, Units: u.N, Parts: u.Parts, Body: u.Body}
}

func entryOf(stamp int64, batches ...Batch) []byte {
	e := Entry{StampMillis: stamp, MonoMillis: stamp, Batches: batches}
	return e.AppendTo(nil)
}

func TestBatchSentTwiceIsAppliedOnceAndAnsweredTwice(t *testing.T) {
	r := &replica{f: newTestFSM()}
	b := batch("n1", 1, 1, 0, "INCR k", "INCR k")
	first := r.apply(entryOf(10, b))
	again := r.apply(entryOf(20, b))
	for _, got := range [][]BatchResult{first, again} {
		if len(got) != 1 || len(got[0].Replies) != 2 || got[0].Replies[1].Int != 2 {
			t.Fatalf("replies %+v, want 1 and 2", got)
		}
	}
	if got := r.apply(entryOf(30, batch("n1", 1, 2, 1, "GET k"))); string(got[0].Replies[0].Str) != "2" {
		t.Fatalf("k = %s, want 2", got[0].Replies[0].Str)
	}
	if got := r.apply(entryOf(40, b)); got[0].Err == nil {
		t.Fatal("a batch that its node had resolved was accepted again")
	}
}

func TestBatchesOfAnEarlierBootAreRefused(t *testing.T) {
	r := &replica{f: newTestFSM()}
	r.apply(entryOf(1, batch("n1", 2, 1, 0, "SET k new")))
	if got := r.apply(entryOf(2, batch("n1", 1, 7, 0, "SET k old"))); got[0].Err == nil {
		t.Fatal("a batch of an earlier boot was applied")
	}
	if got := r.apply(entryOf(3, batch("n1", 2, 2, 1, "GET k"))); string(got[0].Replies[0].Str) != "new" {
		t.Fatalf("k = %q", got[0].Replies[0].Str)
	}
}

func TestRepliesAreForgottenWhenResolved(t *testing.T) {
	r := &replica{f: newTestFSM()}
	for seq := uint64(1); seq <= 100; seq++ {
		r.apply(entryOf(int64(seq), batch("n1", 1, seq, seq-1, "INCR k")))
	}
	if n := len(r.f.sessions["n1"].replies); n != 1 {
		t.Fatalf("%d batches' replies kept, want 1", n)
	}
}

func TestClockNeverGoesBack(t *testing.T) {
	r := &replica{f: newTestFSM()}
	r.apply(entryOf(1000, batch("n1", 1, 1, 0, "SET k v PX 100")))
	r.apply(entryOf(5000, batch("n1", 1, 2, 1)))
	r.apply(entryOf(1001, batch("n1", 1, 3, 2)))
	_, due := r.f.View(Stamp{}, func(ctx *command.Ctx) {
		if ctx.Now != 5000 {
			t.Errorf("log clock %d, want 5000", ctx.Now)
		}
		if e := ctx.Lookup([]byte("k")); e != nil {
			t.Error("an expired key came back")
		}
	})
	if due {
		t.Error("due without a wall clock")
	}
}

func TestReadSeesThatAKeyIsDue(t *testing.T) {
	r := &replica{f: newTestFSM()}
	r.apply(entryOf(1000, batch("n1", 1, 1, 0, "SET k v PX 100")))
	if _, due := r.f.View(Stamp{Wall: 1099}, func(ctx *command.Ctx) { ctx.Lookup([]byte("k")) }); due {
		t.Error("due before its time")
	}
	if _, due := r.f.View(Stamp{Wall: 1100}, func(ctx *command.Ctx) { ctx.Lookup([]byte("k")) }); !due {
		t.Error("not due at its time")
	}
}

func split(t *testing.T, encoded []byte, id uint64) (parts [][]byte) {
	t.Helper()
	var e Entry
	if err := DecodeEntry(encoded, &e); err != nil {
		t.Fatal(err)
	}
	for c := Cut(&e, id); !c.Done(); {
		part := c.Next()
		if c.Large() && len(part) > FragmentBytes+64 {
			t.Fatalf("a fragment of %d bytes", len(part))
		}
		parts = append(parts, part)
	}
	return parts
}

func TestLargeEntriesAreAssembledFromFragments(t *testing.T) {
	r := &replica{f: newTestFSM()}
	value := strings.Repeat("x", 3*MaxEntryBytes+17)
	parts := split(t, entryOf(1, batch("n1", 1, 1, 0, "SET big "+value)), 9)
	if len(parts) != 13 {
		t.Fatalf("%d parts, want 13", len(parts))
	}
	var last []BatchResult
	for _, p := range parts {
		last = r.apply(p)
	}
	if len(last) != 1 || !bytes.Equal(last[0].Replies[0].Str, []byte("OK")) {
		t.Fatalf("reply %+v", last)
	}
	r.f.View(Stamp{}, func(ctx *command.Ctx) {
		if got := len(ctx.Lookup([]byte("big")).Bytes()); got != len(value) {
			t.Fatalf("%d bytes, want %d", got, len(value))
		}
	})
}

func TestInterruptedFragmentsChangeNothing(t *testing.T) {
	r := &replica{f: newTestFSM()}
	value := strings.Repeat("x", 2*MaxEntryBytes)
	parts := split(t, entryOf(1, batch("n1", 1, 1, 0, "SET big "+value)), 9)
	r.apply(parts[0])
	r.term = 2 // another leader
	r.apply(entryOf(2, batch("n2", 1, 1, 0, "SET small v")))
	for _, p := range parts[1:] {
		if got := r.apply(p); got != nil {
			t.Fatal("the rest of an interrupted entry was applied")
		}
	}
	r.f.View(Stamp{}, func(ctx *command.Ctx) {
		if ctx.Lookup([]byte("big")) != nil || ctx.Lookup([]byte("small")) == nil {
			t.Fatal("wrong keys")
		}
	})
}

func TestEvictionSparesAKeyThatWasWrittenSince(t *testing.T) {
	r := &replica{f: newTestFSM()}
	r.apply(entryOf(1, batch("n1", 1, 1, 0, "SET a 1", "SET b 1")))
	var va, vb uint64
	r.f.View(Stamp{}, func(ctx *command.Ctx) {
		va, vb = ctx.Lookup([]byte("a")).Version(), ctx.Lookup([]byte("b")).Version()
	})
	r.apply(entryOf(2, batch("n1", 1, 2, 1, "SET b 2")))
	e := Entry{StampMillis: 3, Evictions: []Eviction{{[]byte("a"), va}, {[]byte("b"), vb}}}
	r.apply(e.AppendTo(nil))
	r.f.View(Stamp{}, func(ctx *command.Ctx) {
		if ctx.Lookup([]byte("a")) != nil {
			t.Error("a was not evicted")
		}
		if ctx.Lookup([]byte("b")) == nil {
			t.Error("b was evicted though it had changed")
		}
	})
}

func TestOnceIsRememberedAcrossASnapshotAndThenRefused(t *testing.T) {
	r := &replica{f: newTestFSM()}
	r.apply(entryOf(1, batch("n1", 1, 1, 0, "ONCE id1 INCR k")))
	other := restored(t, r)
	got := other.apply(entryOf(2, batch("n2", 1, 1, 0, "ONCE id1 INCR k")))
	if got[0].Replies[0].Int != 1 {
		t.Fatalf("second run answered %+v, want the recorded 1", got[0].Replies[0])
	}
	got = other.apply(entryOf(DefaultOnceMillis+2, batch("n2", 1, 2, 1, "ONCE id1 INCR k")))
	if !got[0].Replies[0].IsError() {
		t.Fatalf("a forgotten id was executed again: %+v", got[0].Replies[0])
	}
	other = restored(t, other)
	got = other.apply(entryOf(DefaultOnceMillis+3, batch("n2", 1, 3, 2, "ONCE id1 INCR k", "GET k")))
	if !got[0].Replies[0].IsError() || string(got[0].Replies[1].Str) != "1" {
		t.Fatalf("after a restore: %+v", got[0].Replies)
	}
}

// restored returns a replica made from r's snapshot.
func restored(t interface{ Fatal(...any) }, r *replica) *replica {
	var buf bytes.Buffer
	z, _ := r.f.freeze()
	defer z.Release()
	if err := z.writeWhole(&buf); err != nil {
		t.Fatal(err)
	}
	f := New(Options{Table: command.NewTable(), OnUnsound: func(reason string) { t.Fatal(reason) }})
	if err := f.RestoreFrom(&buf); err != nil {
		t.Fatal(err)
	}
	return &replica{f: f, index: r.index, term: r.term}
}

// TestReplicasAgree runs one random log on a replica from the start and on one
// that is restored from a snapshot now and then: replies, data and engine state
// must be the same.
func TestReplicasAgree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := &replica{f: newTestFSM()}, &replica{f: newTestFSM()}
		stamp, seqs := int64(1000), map[string]uint64{}
		for i := range rapid.IntRange(1, 40).Draw(t, "entries") {
			stamp += rapid.Int64Range(-5, 60).Draw(t, "step")
			var batches []Batch
			for range rapid.IntRange(0, 3).Draw(t, "batches") {
				node := rapid.SampledFrom([]string{"n1", "n2", "n3"}).Draw(t, "node")
				seq := seqs[node] + rapid.Uint64Range(0, 1).Draw(t, "fresh")
				seqs[node] = seq
				batches = append(batches, batch(node, 1, seq, max(seq, 2)-2, rapid.SliceOfN(rapid.SampledFrom(testCommands), 0, 6).Draw(t, "cmds")...))
			}
			data := entryOf(stamp, batches...)
			ra, rb := a.apply(data), b.apply(data)
			if fmt.Sprint(ra) != fmt.Sprint(rb) {
				t.Fatalf("entry %d: replies differ:\n%v\n%v", i, ra, rb)
			}
			if rapid.IntRange(0, 9).Draw(t, "restore") == 0 {
				b = restored(t, b)
			}
			if x, y := a.f.stateSum(), b.f.stateSum(); x != y || a.f.store.Sum() != b.f.store.Sum() {
				t.Fatalf("entry %d: the sums differ", i)
			}
		}
		if !bytes.Equal(slices.Concat(a.f.encodeState()...), slices.Concat(b.f.encodeState()...)) {
			t.Fatalf("engine state differs")
		}
		if da, db := a.f.Digest(), b.f.Digest(); da != db {
			t.Fatalf("digests %+v and %+v", da, db)
		}
	})
}

var testCommands = []string{
	"SET a 1", "SET b 2 PX 20", "SET c x EX 1 NX", "GET a", "INCR a", "APPEND c tail", "DEL a b", "MSET a 1 b 2 c 3",
	"PEXPIRE a 30", "PERSIST b", "RENAME a b", "COPY b c REPLACE", "RANDOMKEY", "DBSIZE", "FLUSHALL",
	"ONCE i1 INCR n", "ONCE i2 SET a 5", "GETDEL c", "PTTL b", "LS.PUT a v", "LS.INCR n 3", "NOSUCH x", "GET",
	"LS.TXN IF 1 a EXISTS 1 THEN 3 2 INCR n 3 COPY a c 2 INCR a ELSE 2 3 SET a 7 2 DEL b", "ONCE i3 LS.TXN IF 0 THEN 2 2 DEL a 2 INCR c ELSE 0",
}

func TestWaitReached(t *testing.T) {
	r := &replica{f: newTestFSM()}
	done := make(chan error, 1)
	go func() { done <- r.f.WaitReached(t.Context(), 2) }()
	r.apply(entryOf(1))
	select {
	case <-done:
		t.Fatal("returned before the entry was applied")
	case <-time.After(20 * time.Millisecond):
	}
	r.apply(entryOf(2))
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.f.WaitReached(ctx, 99); err == nil {
		t.Fatal("no error at the caller's deadline")
	}
	if n := r.f.waiters.n.Load(); n != 0 {
		t.Fatalf("%d waiters left", n)
	}
}

// TestEffectsAreNeverAheadOfTheIndex: a reader that sees an entry's effects finds
// its index applied. A follower's read rests on it.
func TestEffectsAreNeverAheadOfTheIndex(t *testing.T) {
	r := &replica{f: New(Options{Table: command.NewTable(), Applied: func(time.Duration) { runtime.Gosched() }})}
	const entries = 3000
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for r.f.Applied() < entries {
				var seen string
				r.f.View(Stamp{}, func(ctx *command.Ctx) {
					if e := ctx.Lookup([]byte("k")); e != nil {
						seen = string(e.Bytes())
					}
				})
				if n, _ := strconv.ParseUint(seen, 10, 64); r.f.Applied() < n {
					t.Errorf("saw the effect of entry %d while %d was the newest applied", n, r.f.Applied())
					return
				}
				runtime.Gosched()
			}
		})
	}
	for seq := uint64(1); seq <= entries; seq++ {
		r.apply(entryOf(int64(seq), batch("n1", 1, seq, seq-1, "INCR k")))
	}
	wg.Wait()
}

func FuzzDecodeEntry(f *testing.F) {
	e := Entry{
		StampMillis: 5, OOMLimit: 7, Evictions: []Eviction{{[]byte("k"), 3}}, Settings: []SettingChange{{1, 2}},
		Batches: []Batch{batch("n1", 1, 2, 1, "SET a b")},
	}
	f.Add(e.AppendTo(nil))
	e.ValueLimit, e.OOMLimit = 9, command.NoDisk
	f.Add(e.AppendTo(nil))
	f.Add(binary.AppendUvarint([]byte{FormatVersion, kindFragment}, 1<<40))
	f.Fuzz(func(t *testing.T, data []byte) {
		var e Entry
		var err error
		if used := heapuse.Exceeds(len(data), entryFactor, func() { err = DecodeEntry(data, &e) }); used > 0 {
			t.Fatalf("%d bytes allocated for %d", used, len(data))
		}
		if err != nil {
			return
		}
		var again Entry
		if err := DecodeEntry(e.AppendTo(nil), &again); err != nil {
			t.Fatalf("cannot decode what was encoded: %v", err)
		}
	})
}

func FuzzEngineState(f *testing.F) {
	r := &replica{f: newTestFSM()}
	r.apply(entryOf(1, batch("n1", 1, 1, 0, "ONCE id1 INCR k", "GET k")))
	f.Add(slices.Concat(r.f.encodeState()...))
	f.Fuzz(func(t *testing.T, data []byte) {
		fresh := newTestFSM()
		if used := heapuse.Exceeds(len(data), stateFactor, func() { _ = fresh.decodeState(data) }); used > 0 {
			t.Fatalf("%d bytes allocated for %d", used, len(data))
		}
	})
}

func BenchmarkApplySET(b *testing.B) {
	r := &replica{f: newTestFSM()}
	value := strings.Repeat("v", 64)
	var cmds []string
	for i := range 800 {
		cmds = append(cmds, fmt.Sprintf("SET key:%012d %s", i*7919%100000, value))
	}
	u := units(cmds...)
	b.ReportAllocs()
	for i := uint64(1); b.Loop(); i++ {
		r.apply(entryOf(int64(i), Batch{Node: "n1", Boot: 1, Seq: i, Acked: i - 1, Units: u.N, Parts: u.Parts, Body: u.Body}))
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/800, "ns/cmd")
}

// TestWatchedKeyThatCameAndWent: a key that was absent when it was watched and is
// absent again has changed all the same, on a replica that was restored too.
func TestWatchedKeyThatCameAndWent(t *testing.T) {
	for name, change := range map[string][]string{
		"deleted":  {"SET k v", "DEL k"},
		"renamed":  {"SET k v", "RENAME k other"},
		"flushed":  {"SET k v", "FLUSHALL"},
		"replaced": {"SET k v PX 1"}, // its time is up when EXEC comes
	} {
		t.Run(name, func(t *testing.T) {
			r := &replica{f: newTestFSM()}
			r.apply(entryOf(1000, batch("n1", 1, 1, 0, "SET x v")))
			var version uint64
			r.f.View(Stamp{}, func(ctx *command.Ctx) { version = ctx.WatchVersion([]byte("k")) })
			exec := func(r *replica, seq uint64) resp.Value {
				var b command.Batch
				b.AddMulti([]command.Watch{{Key: []byte("k"), Version: version}}, []command.Args{{[]byte("GET"), []byte("x")}})
				return r.apply(entryOf(3000, Batch{Node: "n2", Boot: 1, Seq: seq, Acked: seq - 1, Units: 1, Parts: b.Parts, Body: b.Body}))[0].Replies[0]
			}
			r.apply(entryOf(1500, batch("n1", 1, 2, 1, "FLUSHALL"))) // k is not among what that removes
			if v := exec(restored(t, r), 1); v.IsNil() {
				t.Error("EXEC failed though nothing had changed")
			}
			r.apply(entryOf(2000, batch("n1", 1, 3, 2, change...)))
			if v := exec(restored(t, r), 1); !v.IsNil() {
				t.Error("EXEC ran on a restored replica")
			}
			if v := exec(r, 1); !v.IsNil() {
				t.Error("EXEC ran")
			}
		})
	}
}
