package fsm

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/resp"
)

const mib = 1 << 20

// multi returns a batch of one transaction.
func multi(seq uint64, cmds ...string) Batch {
	var b command.Batch
	var list []command.Args
	for _, c := range cmds {
		var args command.Args
		for _, w := range strings.Fields(c) {
			args = append(args, []byte(w))
		}
		list = append(list, args)
	}
	b.AddMulti(nil, list)
	return Batch{Node: "n1", Boot: 1, Seq: seq, Acked: seq - 1, Units: b.N, Parts: b.Parts, Body: b.Body}
}

// stored returns a replica that has a value of so many bytes under big.
func stored(n int) *replica {
	r := &replica{f: newTestFSM()}
	r.apply(entryOf(1, batch("n1", 1, 1, 0, "SET big "+strings.Repeat("x", n))))
	return r
}

func (r *replica) exists(key string) (is bool) {
	r.f.View(Stamp{}, func(c *command.Ctx) { is = c.Peek([]byte(key)) != nil })
	return is
}

func (r *replica) held() int {
	return costOf(slices.Concat(r.f.sessions["n1"].replies[2], r.f.sessions["n1"].replies[3]))
}

func times(n int, cmd string) []string { return slices.Repeat([]string{cmd}, n) }

func TestTransactionWithTooLargeRepliesIsRefusedBeforeItRuns(t *testing.T) {
	for _, read := range []string{"GET big", "MGET big big", "GETRANGE big 0 -1", "LS.GET big", "GETEX big", "GETSET big x"} {
		r := stored(mib)
		got := r.apply(entryOf(2, multi(2, append([]string{"SET a 1"}, times(800, read)...)...)))[0].Replies[0]
		if resp.Error(got.Str).Code() != "EXECABORT" || r.exists("a") {
			t.Errorf("%s: %.100q, a exists: %v", read, got.Str, r.exists("a"))
		}
	}
}

// What a transaction stores itself is not known before it runs. Its commands are
// refused one by one then, those that write too, before they do anything.
func TestRepliesThatGrowWithinTheTransaction(t *testing.T) {
	r := stored(1)
	cmds := append([]string{"SET b " + strings.Repeat("y", mib)}, times(100, "GET b")...)
	got := r.apply(entryOf(2, multi(2, append(cmds, "GETDEL b", "SET c 1")...)))[0].Replies[0]
	if n := command.ReplyCost(got); got.Kind != resp.KindArray || n > command.MaxReplyBytes+mib {
		t.Fatalf("kind %d, %d bytes", got.Kind, n)
	}
	if v := got.Elems[101]; !v.IsError() || !r.exists("b") {
		t.Errorf("GETDEL answered %.100q, b exists: %v", v.Str, r.exists("b"))
	}
	if !got.Elems[60].IsError() || got.Elems[20].IsError() || !r.exists("c") {
		t.Error("the wrong commands are refused")
	}
}

// One by one, in one batch and over several batches whose replies nobody has
// fetched: the session, and so the snapshot, stays small.
func TestSessionsHoldBoundedReplies(t *testing.T) {
	r := stored(mib)
	for seq := uint64(2); seq <= 3; seq++ {
		got := r.apply(entryOf(2, batch("n1", 1, seq, 1, times(300, "GETEX big PERSIST")...)))[0].Replies
		if first, last := got[0], got[299]; seq == 2 && first.IsError() || !command.RepliesFull(last) {
			t.Fatalf("batch %d: %.60q to %.60q", seq, first.Str, last.Str)
		}
	}
	if n := r.held(); n > command.MaxReplyBytes+mib || n < command.MaxReplyBytes/2 || r.f.sessions["n1"].held != n {
		t.Errorf("the session holds %d bytes and says %d", n, r.f.sessions["n1"].held)
	}
	if n := len(slices.Concat(r.f.encodeState()...)); n > command.MaxReplyBytes+mib {
		t.Errorf("the state takes %d bytes", n)
	}
}

func TestRestoredReplicaRefusesTheSame(t *testing.T) {
	r := stored(mib)
	r.apply(entryOf(2, batch("n1", 1, 2, 1, times(20, "GETEX big PERSIST")...)))
	var file bytes.Buffer
	if _, err := r.f.WriteState(&file); err != nil {
		t.Fatal(err)
	}
	other := &replica{f: newTestFSM(), index: r.index}
	if err := other.f.RestoreFrom(&file); err != nil {
		t.Fatal(err)
	}
	next := entryOf(3, batch("n1", 1, 3, 1, append(times(20, "GETDEL big"), "GETEX big")...), batch("n1", 1, 4, 2, "GETEX big"))
	a, b := r.apply(next), other.apply(next)
	for i := range a {
		for j := range a[i].Replies {
			if x, y := a[i].Replies[j], b[i].Replies[j]; x.Kind != y.Kind {
				t.Errorf("batch %d, reply %d: %.50q, restored %.50q", i, j, x.Str, y.Str)
			}
		}
	}
	if r.f.Digest() != other.f.Digest() {
		t.Error("digests differ")
	}
}

func TestFetchedRepliesMakeRoom(t *testing.T) {
	r := stored(mib)
	r.apply(entryOf(2, batch("n1", 1, 2, 1, times(40, "GETEX big PERSIST")...)))
	if v := r.apply(entryOf(3, batch("n1", 1, 3, 2, "GETDEL big")))[0].Replies[0]; v.IsError() || len(v.Str) != mib {
		t.Errorf("%d bytes, %.60q", len(v.Str), v.Str)
	}
}

// What can be stored can be had, whatever its length.
func TestOneLongValueIsAlwaysAnswered(t *testing.T) {
	r := stored(40 * mib)
	got := r.apply(entryOf(2, batch("n1", 1, 2, 1, "INCR n", "GETEX big PERSIST", "GETEX big PERSIST")))[0].Replies
	if len(got[1].Str) != 40*mib || !command.RepliesFull(got[2]) {
		t.Errorf("%d bytes, then %.60q", len(got[1].Str), got[2].Str)
	}
	if v := r.apply(entryOf(3, multi(3, "INCR n", "GET big")))[0].Replies[0]; v.Kind != resp.KindArray || len(v.Elems[1].Str) != 40*mib {
		t.Errorf("transaction: %.60q", v.Str)
	}
}

func TestRefusedForItsReplyLeavesNoIdempotencyRecord(t *testing.T) {
	r := stored(mib)
	cmds := append(times(40, "GETEX big PERSIST"), "ONCE id GETDEL big")
	if v := r.apply(entryOf(2, batch("n1", 1, 2, 1, cmds...)))[0].Replies[40]; !command.RepliesFull(v) {
		t.Fatalf("%.60q", v.Str)
	}
	got := r.apply(entryOf(3, batch("n1", 1, 3, 2, times(60, "ONCE id GETDEL big")...)))[0].Replies
	if len(got[0].Str) != mib || len(got[1].Str) != mib || !command.RepliesFull(got[59]) {
		t.Errorf("%d bytes, again %d, the last %.60q", len(got[0].Str), len(got[1].Str), got[59].Str)
	}
}

// A reply whose length nobody knows in advance ends where the room ends.
func TestKeysStopAtTheLimit(t *testing.T) {
	r := &replica{f: newTestFSM()}
	for i, pad := 0, strings.Repeat("k", 16<<10); i < 64; i++ {
		r.apply(entryOf(1, batch("n1", 1, uint64(i+1), uint64(i), "SET "+pad+strings.Repeat("x", i)+" v")))
	}
	cmds := append([]string{"SET a 1"}, times(200, "KEYS *")...)
	got := r.apply(entryOf(2, multi(65, append(cmds, times(50, "SCAN 0 COUNT 1000")...)...)))[0].Replies[0]
	if n := command.ReplyCost(got); n > command.MaxReplyBytes+mib || got.Elems[1].IsError() || !got.Elems[200].IsError() || !got.Elems[250].IsError() {
		t.Errorf("%d bytes", n)
	}
}
