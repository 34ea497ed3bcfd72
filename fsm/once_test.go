package fsm

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/cespare/xxhash/v2"
	"pgregory.net/rapid"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/resp"
)

// ownedBatch is a batch of ONCE commands of one client.
func ownedBatch(seq uint64, owner string, cmds ...string) Batch {
	var b command.Batch
	for _, c := range cmds {
		var args command.Args
		for _, w := range strings.Fields(c) {
			args = append(args, []byte(w))
		}
		b.AddOwned(owner, args)
	}
	return Batch{Node: "n1", Boot: 1, Seq: seq, Acked: seq - 1, Units: b.N, Parts: b.Parts, Body: b.Body}
}

// withBudget is a replica whose memory for ids is bounded.
func withBudget(bytes uint64) *replica {
	r := &replica{f: newTestFSM()}
	e := Entry{StampMillis: 1, MonoMillis: 1, Settings: []SettingChange{{SettingOnceBytes, bytes}}}
	r.apply(e.AppendTo(nil))
	return r
}

// TestFullMemoryForgetsNothing: a known id is never executed again within its time,
// however many others come.
func TestFullMemoryForgetsNothing(t *testing.T) {
	r := withBudget(100_000)
	reply := func(stamp int64, seq uint64, owner, cmd string) resp.Value {
		return r.apply(entryOf(stamp, ownedBatch(seq, owner, cmd)))[0].Replies[0]
	}
	seq := uint64(1)
	if got := reply(2, seq, "a", "ONCE first INCR n"); got.Int != 1 {
		t.Fatalf("%+v", got)
	}
	refused, shared := 0, 0
	for i := range 2000 {
		seq++
		switch v := reply(3+int64(i), seq, fmt.Sprint("owner", i%3), fmt.Sprintf("ONCE id%d INCR m", i)); {
		case v.IsError() && resp.Error(v.Str).Code() == "ONCEFULL":
			refused++
		case v.IsError() && resp.Error(v.Str).Code() == "ONCESHARE":
			shared++
		case v.IsError():
			t.Fatalf("%s", v.Str)
		}
	}
	if refused == 0 {
		t.Error("no id was refused although the memory is used up")
	}
	if f := r.f.OnceFigures(); f.Bytes > f.Budget+100 || f.Refused != uint64(refused+shared) {
		t.Errorf("%+v; %d and %d refused", f, refused, shared)
	}
	for _, again := range []*replica{r, restored(t, r)} {
		got := again.apply(entryOf(5000, ownedBatch(seq+1, "a", "ONCE first INCR n")))[0].Replies[0]
		if got.Int != 1 {
			t.Errorf("the known id answered %+v", got)
		}
	}
	// Its reply goes after its time, the id stays.
	got := reply(3+DefaultOnceMillis, seq+2, "a", "ONCE first INCR n")
	if !got.IsError() || resp.Error(got.Str).Code() != "ONCEEXPIRED" {
		t.Errorf("after the retention: %+v", got)
	}
	got = reply(3+DefaultOnceMillis+rememberMillis-1, seq+3, "a", "ONCE first INCR n")
	if !got.IsError() || resp.Error(got.Str).Code() != "ONCEEXPIRED" {
		t.Errorf("at the end of the time for which it is remembered: %+v", got)
	}
	got = reply(10000+2*DefaultOnceMillis+rememberMillis+rememberMillis/graveyards, seq+4, "b", "ONCE new INCR n")
	if got.IsError() {
		t.Errorf("memory did not come back: %s", got.Str)
	}
}

// TestOneClientCannotUseUpTheMemory of all.
func TestOneClientCannotUseUpTheMemory(t *testing.T) {
	r := withBudget(100_000)
	var code string
	seq := uint64(0)
	ask := func(owner, id string) string {
		seq++
		v := r.apply(entryOf(int64(seq)+1, ownedBatch(seq, owner, "ONCE "+id+" SET k v")))[0].Replies[0]
		if v.IsError() {
			return resp.Error(v.Str).Code()
		}
		return ""
	}
	for i := 0; code == "" && i < 1000; i++ {
		code = ask("greedy", fmt.Sprint("g", i))
	}
	if code != "ONCESHARE" {
		t.Fatalf("the greedy client got %q", code)
	}
	if code := ask("other", "o1"); code != "" {
		t.Errorf("another client got %q", code)
	}
	if code := ask("greedy", "g0"); code != "" {
		t.Errorf("a known id of the greedy client got %q", code)
	}
	if a, b := r.f.Digest(), restored(t, r).f.Digest(); a != b {
		t.Errorf("digests %+v and %+v", a, b)
	}
}

// TestLargeReplyCannotUseUpTheMemory for ids: the command is refused before it runs.
func TestLargeReplyCannotUseUpTheMemory(t *testing.T) {
	for _, c := range []struct{ owner, cmd, code string }{
		{"a", "SET big y GET", "ONCESHARE"},
		{"", "SET big y GET", "ONCEFULL"},
		{"a", "GETSET big y", "ONCESHARE"},
		{"a", "GETDEL big", "ONCESHARE"},
		{"a", "GETEX big EX 100", "ONCESHARE"},
		{"a", "FENCED l 1 GETDEL big", "ONCESHARE"},
		{"a", "LS.TXN IF 0 THEN 2 2 DEL small 2 GETDEL big ELSE 0", "ONCESHARE"},
		{"", "LS.TXN IF 0 THEN 2 2 DEL small 2 GETDEL big ELSE 0", "ONCEFULL"},
	} {
		r := withBudget(256 << 10)
		value := strings.Repeat("x", 600<<10)
		r.apply(entryOf(2, batch("n1", 1, 1, 0, "SET big "+value, "SET small s")))
		before := r.f.Digest().Sum
		refused := r.apply(entryOf(3, ownedBatch(2, c.owner, "ONCE bigid "+c.cmd)))[0].Replies[0]
		if !refused.IsError() || resp.Error(refused.Str).Code() != c.code {
			t.Errorf("%s of %q: %.60q", c.cmd, c.owner, refused.Str)
		}
		if f := r.f.OnceFigures(); f.Bytes != 0 || f.Refused != 1 {
			t.Errorf("%s: %+v", c.cmd, f)
		}
		if !r.exists("small") || r.f.Digest().Sum != before {
			t.Errorf("%s was refused and changed something", c.cmd)
		}
		next := r.apply(entryOf(4, ownedBatch(3, c.owner, "ONCE bigid SET big y", "ONCE id2 SET big z GET")))[0].Replies
		if next[0].IsError() || string(next[1].Str) != "y" {
			t.Errorf("afterwards: %.60q %.60q", next[0].Str, next[1].Str)
		}
	}
}

// TestOnceTableAgreesWithAList of all ids that ever ran.
func TestOnceTableAgreesWithAList(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tab, now := newOnceTable(), int64(0)
		tab.budget = rapid.Int64Range(500, 20_000).Draw(t, "budget")
		ran := map[string]int64{}
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			now += rapid.SampledFrom([]int64{0, 1, 1000, 60_000, DefaultOnceMillis / 2, rememberMillis / 5}).Draw(t, "passed")
			tab.age(now)
			id, owner := fmt.Sprint(rapid.IntRange(0, 60).Draw(t, "id")), rapid.SampledFrom([]string{"", "a", "b"}).Draw(t, "owner")
			_, _, is := tab.Begin([]byte(id), []byte(owner))
			at, known := ran[id]
			switch age := now - at; {
			case known && age < DefaultOnceMillis && is != command.OnceDone,
				known && age >= DefaultOnceMillis && age < DefaultOnceMillis+rememberMillis && is != command.OnceForgotten:
				t.Fatalf("an id of %d ms ago is %d", age, is)
			case !known && (is == command.OnceDone || is == command.OnceForgotten):
				t.Fatalf("an id that never ran is %d", is)
			case is == command.OnceNew:
				tab.Finish([]byte(id), []byte(owner), slotOfID(id), now, 1, resp.BulkString("reply"))
				ran[id] = now
			}
			if tab.bytes > tab.budget+100 {
				t.Fatalf("%d bytes of %d", tab.bytes, tab.budget)
			}
			sum := int64(0)
			for _, n := range tab.owners {
				sum += n
			}
			if sum != tab.bytes {
				t.Fatalf("owners have %d of %d bytes", sum, tab.bytes)
			}
			if rapid.IntRange(0, 9).Draw(t, "snapshot") == 0 {
				again := newOnceTable()
				d := decoder{rest: tab.appendSlots(tab.appendTo(nil))}
				d.once(again)
				d.slotsOfIDs(again)
				if again.budget = tab.budget; d.finish() != nil || again.bytes != tab.bytes {
					t.Fatalf("a snapshot has %d bytes, not %d", again.bytes, tab.bytes)
				}
				tab = again
			}
			checkSlots(t, tab, ran, now)
		}
	})
}

func slotOfID(id string) uint16 { return uint16(len(id)*7 + int(id[0])) }

// checkSlots asks for what belongs to each slot: every id that is known, and nothing else.
func checkSlots(t *rapid.T, tab *onceTable, ran map[string]int64, now int64) {
	byHash := map[uint64]string{}
	for id := range ran {
		byHash[xxhash.Sum64String(id)] = id
	}
	found := map[string]bool{}
	for slot := range uint16(256) {
		note := func(id string) {
			if slotOfID(id) != slot || found[id] {
				t.Fatalf("slot %d has the id %q", slot, id)
			}
			found[id] = true
		}
		tab.ofSlot(slot, func(r *onceRecord) { note(r.id) }, func(hash uint64, _ *grave) { note(byHash[hash]) })
	}
	for id, at := range ran {
		if now-at < DefaultOnceMillis+rememberMillis && !found[id] {
			t.Fatalf("no slot has the id %q", id)
		}
	}
}

// TestOnceArithmeticIsNoLessThanTheMemory that ids and hashes really take.
func TestOnceArithmeticIsNoLessThanTheMemory(t *testing.T) {
	const n = 200_000
	tab := newOnceTable()
	before := heap()
	for i := range n {
		tab.Finish(fmt.Appendf(nil, "%036d", i), []byte("127.0.0.1"), 7, 1, 1, resp.BulkString(strings.Repeat("r", 36)))
	}
	took, counted := heap()-before, tab.bytes
	if took > counted*11/10 {
		t.Errorf("%d records take %d bytes each, counted as %d", n, took/n, counted/n)
	}
	t.Logf("a record takes %d bytes, counted as %d", took/n, counted/n)
	runtime.KeepAlive(tab)
	tab = newOnceTable()
	before = heap()
	for i := range n {
		tab.bury(uint64(i)*0x9e3779b97f4a7c15, 7, "127.0.0.1", 1)
	}
	took, counted = heap()-before, tab.bytes
	if took > counted*11/10 {
		t.Errorf("%d hashes take %d bytes each, counted as %d", n, took/n, counted/n)
	}
	t.Logf("a hash takes %d bytes, counted as %d", took/n, counted/n)
	if most := 1000 * (600*(recordBytes+36+9+resp.BulkString(strings.Repeat("r", 36)).Size()) + 1800*graveBytes); most > DefaultOnceBytes/ownerShare {
		t.Errorf("1,000 ids a second take %d bytes, a client may have %d", most, DefaultOnceBytes/ownerShare)
	}
	runtime.KeepAlive(tab)
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestOutcomesKeepNoMoreThanThemselves: a value that is remembered as an outcome was part of
// a segment of the store, which must not stay for it.
func TestOutcomesKeepNoMoreThanThemselves(t *testing.T) {
	const ids = 500
	r := &replica{f: newTestFSM()}
	value := strings.Repeat("v", 500)
	var others []string
	for i := range 20 {
		others = append(others, fmt.Sprint("SET other:", i, " ", value))
	}
	before := heap()
	seq := uint64(0)
	step := func(cmds ...string) {
		seq++
		r.apply(entryOf(1, batch("n1", 1, seq, seq-1, cmds...)))
	}
	for i := range ids {
		step(append(others, "SET k short")...)
		step(fmt.Sprint("ONCE id:", i, " GETDEL k"))
		step(append(others, "SET k short")...)
		r.apply(entryOf(1, batch("n2", 1, uint64(i)+1, 0, "GETDEL k"))) // not acknowledged, so kept
	}
	if grown := heap() - before; grown > 2000*ids {
		t.Errorf("%d outcomes and replies of 5 bytes take %d bytes", 2*ids, grown)
	}
	runtime.KeepAlive(r)
}
