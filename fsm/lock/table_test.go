package lock

import (
	"fmt"
	"strings"
	"testing"
)

const t0 = 1700000000000

func ask(name, token string, ttl, wait int64) Request {
	return Request{Name: name, Token: token, Owner: "owner of " + token, TTLMillis: ttl, WaitMillis: wait, Node: "n1", Boot: 1}
}

func TestRenewalAndExpiryDoNotCross(t *testing.T) {
	tab := NewTable(true)
	tab.Acquire(t0, ask("l", "a", 100, 0))
	tab.Acquire(t0, ask("l", "b", 100, 1000))
	tab.Advance(t0 + 99)
	if _, ok := tab.Renew(t0+99, []byte("l"), []byte("a"), 100); !ok {
		t.Fatal("a renewal in time was refused")
	}
	tab.Advance(t0 + 100) // the end that the renewal moved
	if info, _ := tab.Info([]byte("l")); info.Owner != "owner of a" {
		t.Fatalf("held by %q", info.Owner)
	}
	tab.Advance(t0 + 199)
	if _, ok := tab.Renew(t0+199, []byte("l"), []byte("a"), 100); ok {
		t.Fatal("a renewal was accepted after the lock had gone to another")
	}
	if info, _ := tab.Info([]byte("l")); info.Owner != "owner of b" || info.ExpiresAt != t0+299 {
		t.Fatalf("held as %+v", info)
	}
}

func TestHoldersSurviveAnElection(t *testing.T) {
	tab := NewTable(true)
	tab.Acquire(t0, ask("l", "a", 100, 0))
	tab.Acquire(t0, ask("long", "a", 5000, 0))
	tab.LeaderStart(t0 + 2000) // nobody could renew for two seconds
	tab.Advance(t0 + 2000)
	if info, held := tab.Info([]byte("l")); !held || info.ExpiresAt != t0+2100 {
		t.Errorf("l is %v %+v", held, info)
	}
	if info, _ := tab.Info([]byte("long")); info.ExpiresAt != t0+7000 {
		t.Errorf("long ends at %d", info.ExpiresAt-t0)
	}
	tab.Advance(t0 + 2100)
	if _, held := tab.Info([]byte("l")); held {
		t.Error("l outlived its time")
	}
}

func TestQueueInOrder(t *testing.T) {
	tab := NewTable(true)
	tab.Acquire(t0, ask("l", "w0", 100, 0))
	for i := 1; i <= 4; i++ {
		wait := int64(10000)
		if i == 2 {
			wait = 5 // is not there any more when its turn comes
		}
		if s, _, _ := tab.Acquire(t0, ask("l", fmt.Sprint("w", i), 100, wait)); s != Queued {
			t.Fatalf("w%d: %v", i, s)
		}
	}
	tab.Cancel(t0, []byte("l"), []byte("w3"), true)
	var order []string
	for i := range 4 {
		tab.Advance(t0 + int64(i+1)*100)
		for _, e := range tab.TakeEvents() {
			switch e.Kind {
			case EventGranted:
				order = append(order, e.Token)
			case EventWaiterGone:
				order = append(order, e.Token+" "+e.Reason.String())
			}
		}
	}
	if got, want := strings.Join(order, ", "), "w0, w3 cancelled, w2 timed_out, w1, w4"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestFencesGrowOverTables(t *testing.T) {
	old := NewTable(false)
	_, g1, _ := old.Acquire(t0, ask("l", "a", 10, 0))
	backup := old.AppendTo(nil)
	_, g2, _ := old.Acquire(t0+60_000, ask("m", "a", 10, 0)) // after the backup
	restored, _, err := Decode(backup, false)
	if err != nil {
		t.Fatal(err)
	}
	restored.Advance(t0 + 120_000)
	_, g3, _ := restored.Acquire(t0+120_000, ask("l", "b", 10, 0))
	if !(g1.Fence < g2.Fence && g2.Fence < g3.Fence) {
		t.Errorf("fences %d, %d, %d", g1.Fence, g2.Fence, g3.Fence)
	}
	if g3.Fence >= 1<<53 {
		t.Errorf("%d does not fit a double", g3.Fence)
	}
	// A clock that is behind the backup's: the floor makes up for it.
	fresh := NewTable(false)
	fresh.RaiseFloor(t0-1_000_000, g2.Fence)
	if _, g, _ := fresh.Acquire(t0-1_000_000, ask("l", "b", 10, 0)); g.Fence <= g2.Fence {
		t.Errorf("fence %d after the floor %d", g.Fence, g2.Fence)
	}
}

func TestForgottenFencesAreRefused(t *testing.T) {
	tab := NewTable(false)
	const day = 24 * 60 * 60 * 1000
	_, long, _ := tab.Acquire(t0, ask("long", "a", 3*day, 0))
	_, brief, _ := tab.Acquire(t0+1, ask("brief", "a", 10, 0))
	tab.Advance(t0 + 2*day) // both marks are forgotten
	now := int64(t0 + 2*day)
	if _, v := tab.CheckFence(now, []byte("brief"), brief.Fence); v != FenceStale {
		t.Errorf("a forgotten fence: %v", v)
	}
	if _, v := tab.CheckFence(now, []byte("long"), long.Fence); v != FenceOK {
		t.Errorf("the fence of a lock that is held: %v", v)
	}
	if _, v := tab.CheckFence(now, []byte("elsewhere"), fenceAt(now)); v != FenceOK {
		t.Errorf("a new fence of another shard: %v", v)
	}
	if _, v := tab.CheckFence(now, []byte("elsewhere"), fenceAt(now+2*fenceSlackMillis)); v != FenceFuture {
		t.Errorf("a fence from the future: %v", v)
	}
}

// TestFenceThatWasNeverGranted: the shard that grants a lock takes no fence but
// its own, also when that looks possible by the clock. Elsewhere one can slip in,
// and the next grant is above it all the same.
func TestFenceThatWasNeverGranted(t *testing.T) {
	tab := NewTable(false)
	_, g, _ := tab.Acquire(t0, ask("l", "a", 1000, 0))
	_, other, _ := tab.Acquire(t0, ask("other", "a", 1000, 0))
	for _, wrong := range []uint64{g.Fence + 1, other.Fence, fenceAt(t0 + fenceSlackMillis/2)} {
		if seen, v := tab.CheckFence(t0, []byte("l"), wrong); v != FenceFuture || seen != g.Fence {
			t.Errorf("fence %d of a lock with %d: %v, seen %d", wrong, g.Fence, v, seen)
		}
	}
	if _, v := tab.CheckFence(t0, []byte("l"), g.Fence); v != FenceOK {
		t.Errorf("the holder's fence: %v", v)
	}
	tab.Release(t0, []byte("l"), []byte("a"))
	if _, v := tab.CheckFence(t0, []byte("l"), g.Fence+1); v != FenceFuture {
		t.Errorf("a higher fence of a lock that is free: %v", v)
	}
	back, rest, err := Decode(tab.AppendTo(nil), false)
	if err != nil || len(rest) != 0 {
		t.Fatal(err)
	}
	if _, v := back.CheckFence(t0, []byte("l"), g.Fence+1); v != FenceFuture {
		t.Errorf("the same after a restore: %v", v)
	}
	early := fenceAt(t0 + fenceSlackMillis/2)
	if _, v := tab.CheckFence(t0, []byte("new"), early); v != FenceOK {
		t.Fatalf("a fence that another shard may have given out: %v", v)
	}
	_, g, _ = tab.Acquire(t0, ask("new", "a", 1000, 0))
	if _, v := tab.CheckFence(t0, []byte("new"), g.Fence); v != FenceOK || g.Fence <= early {
		t.Errorf("the fence of a new grant, %d after %d: %v", g.Fence, early, v)
	}
}

// TestFencesOfARestoredBackup: another shard of the same cluster runs ahead of its
// clock as far as this one.
func TestFencesOfARestoredBackup(t *testing.T) {
	tab := NewTable(false)
	floor := fenceAt(t0 + 10*fenceSlackMillis)
	tab.RaiseFloor(t0, floor)
	if _, v := tab.CheckFence(t0, []byte("elsewhere"), floor+7); v != FenceOK {
		t.Errorf("a fence above the floor: %v", v)
	}
}

// What clients name, again and again, carries fences no further than a month ahead
// of the clock; what was given out counts in any case.
func TestFencesStayNearTheClock(t *testing.T) {
	tab := NewTable(false)
	bound := fenceAt(t0 + aheadMillis)
	if tab.RaiseFloor(t0, 1<<62) || tab.RaiseFloor(t0, bound+1) || tab.LastFence() != 0 {
		t.Errorf("a floor beyond the bound was taken: %d", tab.LastFence())
	}
	refused := false
	for i := 0; i < 2000 && !refused; i++ {
		name := fmt.Sprint("l", i)
		_, v := tab.CheckFence(t0, []byte(name), max(tab.LastFence(), fenceAt(t0))+fenceSlackMillis<<fenceShift)
		refused = v == FenceFuture
		_, g, _ := tab.Acquire(t0, ask(name, name, 1000, 0))
		if g.Fence > bound+2000 {
			t.Fatalf("fence %d after %d steps, the bound is %d", g.Fence, i, bound)
		}
	}
	if !refused {
		t.Error("nothing was refused")
	}
	if _, v := tab.CheckFence(t0-100*24*3600*1000, []byte("other"), tab.LastFence()); v != FenceOK {
		t.Errorf("a fence that was given out, with a clock that was set back: %v", v)
	}
	if !tab.RaiseFloor(t0, bound) || tab.LastFence() < bound {
		t.Errorf("a floor at the bound: %d", tab.LastFence())
	}
}

func TestMarksAreBounded(t *testing.T) {
	tab := NewTable(false)
	first := fenceAt(t0)
	for i := range maxMarks + 10 {
		if _, v := tab.CheckFence(t0, fmt.Appendf(nil, "l%d", i), first+uint64(i)); v != FenceOK {
			t.Fatalf("fence %d: %v", i, v)
		}
	}
	if n := len(tab.marks.byKey); n != maxMarks {
		t.Errorf("%d marks", n)
	}
	if _, v := tab.CheckFence(t0, []byte("l3"), first+3); v != FenceStale {
		t.Errorf("a forgotten fence: %v", v)
	}
}

func TestTableFills(t *testing.T) {
	tab := NewTable(false)
	r := ask("l", strings.Repeat("t", 64), 1000, 1000)
	r.Owner = strings.Repeat("o", MaxOwnerBytes)
	n := 0
	for ; ; n++ {
		r.Token = fmt.Sprintf("%064d", n)
		if s, _, _ := tab.Acquire(t0, r); s == Full {
			break
		}
	}
	if tab.Bytes() > maxBytes || tab.Bytes() < maxBytes-1000 {
		t.Errorf("full at %d bytes, %d waiters", tab.Bytes(), n)
	}
	tab.Advance(t0 + 1000) // the holder's time, and everybody's wait, is over
	if tab.Bytes() != 0 || tab.Len() != 0 || tab.Waiters() != 0 {
		t.Errorf("%d bytes, %d locks, %d waiters are left", tab.Bytes(), tab.Len(), tab.Waiters())
	}
}

func TestEventsAreNotCollectedUnasked(t *testing.T) {
	tab := NewTable(false)
	tab.Acquire(t0, ask("l", "a", 1, 0))
	if tab.events != nil {
		t.Error("events pile up")
	}
}

func BenchmarkHandOver(b *testing.B) {
	tab := NewTable(true)
	tab.Acquire(t0, ask("l", "0", 1000, 0))
	for i := 1; i <= 10_000; i++ {
		tab.Acquire(t0, ask("l", fmt.Sprint(i), 1000, 1000))
	}
	i := 0
	for b.Loop() {
		tab.Release(t0, []byte("l"), fmt.Append(nil, i))
		i++
		tab.Acquire(t0, ask("l", fmt.Sprint(10_000+i), 1000, 1000))
		tab.TakeEvents()
	}
}

func BenchmarkRenew100k(b *testing.B) {
	tab := NewTable(false)
	for i := range 100_000 {
		tab.Acquire(t0, ask(fmt.Sprint(i), "t", 1000, 0))
	}
	i := 0
	for b.Loop() {
		tab.Renew(t0+int64(i/1000), fmt.Append(nil, i%100_000), []byte("t"), 1000)
		i++
	}
}
