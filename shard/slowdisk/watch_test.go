package slowdisk

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const limit = 1200 * time.Millisecond

// replica is everything around a watch, without Raft and disk.
type replica struct {
	w *Watch

	mu      sync.Mutex // guards the rest
	term    uint64     // in which it leads
	serving bool
	wrong   bool
	others  []Candidate
	disk    Condition
	refuses map[string]bool // to stand for election
	wins    map[string]bool // as soon as it stands, or is handed the leadership
	may     bool
	muted   bool
	done    []string
}

// passing is a clock that goes with time.Now, in a bubble as well.
type passing struct{ since time.Time }

func (p passing) Mono() time.Duration { return time.Since(p.since) }
func (p passing) WallMillis() int64   { return time.Now().UnixMilli() }

// newReplica returns a leader in term 3, among two others that are well.
func newReplica() *replica {
	p := &replica{term: 3, serving: true, others: []Candidate{{ID: "b", CaughtUp: true, Applied: 10}, {ID: "c", CaughtUp: true, Applied: 20}},
		refuses: map[string]bool{}, wins: map[string]bool{"b": true, "c": true}}
	p.w = New(Options{
		Shard: p, Disk: p, Figures: p, Limit: limit, Patience: 4 * time.Second, Clock: passing{time.Now().Add(-time.Hour)},
		Logger: slog.New(slog.DiscardHandler),
	})
	return p
}

func get[T any](p *replica, v *T) T {
	p.mu.Lock()
	defer p.mu.Unlock()
	return *v
}

func (p *replica) did(what string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done = append(p.done, what)
}

func (p *replica) Leading() uint64         { return get(p, &p.term) }
func (p *replica) Serving() bool           { return get(p, &p.serving) }
func (p *replica) Sound() bool             { return !get(p, &p.wrong) }
func (p *replica) Others() []Candidate     { return get(p, &p.others) }
func (p *replica) Quorum() int             { return (len(p.others)+1)/2 + 1 }
func (p *replica) Condition() Condition    { return get(p, &p.disk) }
func (p *replica) GivenAway(reason string) { p.did(reason) }
func (p *replica) GiveUpLease(uint64)      { p.did("lease") }

func (p *replica) Slowed() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.disk.Slow = true
}

func (p *replica) SetCampaigning(may bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.may = may
}

func (p *replica) Mute(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.muted = on
	if on {
		p.done = append(p.done, "mute")
	}
}

func (p *replica) ask(what, node string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done = append(p.done, what+" "+node)
	if p.refuses[node] {
		return errors.New("not now")
	}
	if p.wins[node] {
		p.term, p.serving = 0, false
	}
	return nil
}

func (p *replica) StandFor(_ context.Context, _ uint64, node string) error {
	return p.ask("stand", node)
}
func (p *replica) HandOver(_ context.Context, node string) error { return p.ask("hand", node) }

// pass lets time pass, with looks.
func (p *replica) pass(d time.Duration) {
	for range d / Step(limit) {
		time.Sleep(Step(limit))
		p.w.Look(Step(limit))
	}
	synctest.Wait()
}

func (p *replica) expect(t *testing.T, name, want string) {
	t.Helper()
	if got := strings.Join(get(p, &p.done), ", "); got != want {
		t.Errorf("%s: %q, want %q", name, got, want)
	}
}

// TestSlowFlushCostsTheLeadership, after the limit and not before; a replica that hangs stays mute until it is deposed.
func TestSlowFlushCostsTheLeadership(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newReplica()
		p.wins = nil
		end := p.w.Track(Append)
		p.pass(limit)
		p.expect(t, "before the limit", "")
		if p.w.Flushing() == 0 || p.w.Hangs() > 0 {
			t.Errorf("flushing for %v, hangs for %v", p.w.Flushing(), p.w.Hangs())
		}
		p.pass(2 * Step(limit))
		p.expect(t, "after it", "slow_disk, lease, mute, stand c")
		if p.may || p.w.Hangs() < limit {
			t.Errorf("may campaign: %v; hangs for %v", p.may, p.w.Hangs())
		}
		p.pass(time.Minute)
		p.expect(t, "much later", "slow_disk, lease, mute, stand c")
		if !get(p, &p.muted) {
			t.Error("it speaks though it leads and hangs")
		}
		p.mu.Lock()
		p.term = 0
		p.mu.Unlock()
		p.pass(time.Second)
		if get(p, &p.muted) {
			t.Error("it is mute though another leads")
		}
		end()
		p.pass(time.Second)
		if p.w.Hangs() > 0 || get(p, &p.may) {
			t.Errorf("hangs for %v, may campaign %v", p.w.Hangs(), p.may) // its disk counts as slow for a while
		}
		p.w.Close()
	})
}

// TestNobodyWantedIt: a disk that is well again ends the silence after a while.
func TestNobodyWantedIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newReplica()
		p.refuses["c"], p.wins = true, nil
		end := p.w.Track(Append)
		p.pass(limit + 3*Step(limit))
		p.expect(t, "one refuses", "slow_disk, lease, mute, stand c, stand b")
		end()
		p.pass(3 * time.Second)
		if !get(p, &p.muted) {
			t.Error("it was not patient")
		}
		p.mu.Lock()
		p.disk.Slow = false
		p.mu.Unlock()
		p.pass(2 * time.Second)
		if get(p, &p.muted) {
			t.Error("it is mute for ever")
		}
		p.w.Close()
	})
}

// TestHandedOver while the log can be written: one try after the other, with a pause.
func TestHandedOver(t *testing.T) {
	for name, c := range map[string]struct {
		given func(p *replica)
		want  string
	}{
		"slow lately":       {func(p *replica) { p.disk.Slow = true }, "hand c, slow_disk"},
		"full":              {func(p *replica) { p.disk.Full = true }, "hand c, full_disk"},
		"one refuses":       {func(p *replica) { p.disk.Full, p.refuses["c"] = true, true }, "hand c, hand b, full_disk"},
		"both refuse":       {func(p *replica) { p.disk.Full = true; p.refuses["c"], p.refuses["b"] = true, true }, "hand c, hand b, hand c, hand b"},
		"it is needed":      {func(p *replica) { p.disk.Full, p.others[0].Poor = true, true }, ""},
		"it is well":        {func(p *replica) {}, ""},
		"does not lead":     {func(p *replica) { p.disk.Full, p.term, p.serving = true, 0, false }, ""},
		"does not serve":    {func(p *replica) { p.disk.Full, p.serving = true, false }, ""},
		"one is behind":     {func(p *replica) { p.disk.Full, p.others[0].CaughtUp = true, false }, ""},
		"slow, wrong state": {func(p *replica) { p.disk.Slow, p.wrong = true, true }, "hand c, slow_disk"},
	} {
		synctest.Test(t, func(t *testing.T) {
			p := newReplica()
			c.given(p)
			p.pass(handoverPause + 2*Step(limit))
			p.expect(t, name, c.want)
			p.w.Close()
		})
	}
}

// TestStopEndsIt: a node that stops is mute no longer than that.
func TestStopEndsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newReplica()
		p.wins = nil
		p.w.Track(Append)
		p.pass(limit + 3*Step(limit))
		if !get(p, &p.muted) {
			t.Fatal("not mute")
		}
		p.w.Stop()
		if p.w.Close(); p.muted {
			t.Error("still mute")
		}
	})
}

func TestRecheck(t *testing.T) {
	p := newReplica()
	p.wrong = true
	if p.w.Recheck(); p.may {
		t.Error("a wrong one may lead")
	}
	p.wrong = false
	if p.w.Recheck(); !p.may {
		t.Error("one that is right again may not")
	}
	p.disk.Full = true
	if p.w.Recheck(); p.may || len(p.done) > 0 {
		t.Errorf("may lead: %v; did %v", p.may, p.done)
	}
}

func TestDecide(t *testing.T) {
	slow, full, well := Condition{Slow: true}, Condition{Full: true}, Condition{}
	for _, c := range []struct {
		leads, sound, slow bool
		disk               Condition
		dispensable        bool
		do                 action
		may                bool
	}{
		{true, true, false, well, true, stay, true},
		{true, true, true, slow, true, abdicate, false},
		{true, true, true, slow, false, stay, true}, // its disk is needed, leader or not
		{true, true, false, slow, true, handOver, false},
		{true, true, false, full, true, handOver, false},
		{true, true, false, full, false, stay, true},
		{false, true, true, slow, true, stay, false},
		{false, true, false, well, false, stay, true},
		{false, false, false, well, false, stay, false},
		{true, false, true, slow, true, abdicate, false},
	} {
		if do, may := decide(c.leads, c.sound, c.slow, c.disk, c.dispensable); do != c.do || may != c.may {
			t.Errorf("%+v: does %d, may lead %v", c, do, may)
		}
	}
}

func TestSuccessors(t *testing.T) {
	list := []Candidate{
		{ID: "behind", Applied: 99},
		{ID: "hangs", CaughtUp: true, Hangs: true, Poor: true, Applied: 98},
		{ID: "poor", CaughtUp: true, Poor: true, Applied: 97},
		{ID: "well", CaughtUp: true, Applied: 10},
		{ID: "newer", CaughtUp: true, Applied: 20},
		{ID: "as new", CaughtUp: true, Applied: 20},
	}
	for hangs, want := range map[bool]string{false: "newer, as new, well", true: "newer, as new, well, poor"} {
		var got []string
		for _, c := range successors(list, hangs) {
			got = append(got, c.ID)
		}
		if strings.Join(got, ", ") != want {
			t.Errorf("hangs %v: %v", hangs, got)
		}
	}
	if list[0].ID != "behind" || !slices.IsSortedFunc(list[:4], func(a, b Candidate) int { return int(b.Applied) - int(a.Applied) }) {
		t.Error("the list was changed")
	}
}

func TestLimit(t *testing.T) {
	for heartbeat, want := range map[time.Duration]time.Duration{
		100 * time.Millisecond: slowLeast, 300 * time.Millisecond: 600 * time.Millisecond, time.Second: 2 * time.Second,
	} {
		if got := Limit(heartbeat); got != want {
			t.Errorf("%v: %v", heartbeat, got)
		}
	}
}
