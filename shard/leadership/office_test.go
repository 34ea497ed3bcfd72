package leadership

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/lockstepkv/lockstep/shard/session"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	timeout = 1500 * time.Millisecond
	silence = 2 * time.Second // after an election
)

// replica is everything around an office, without Raft.
type replica struct {
	o      *Office
	served atomic.Uint64

	mu         sync.Mutex // guards the rest
	term       uint64
	leads      bool
	alone      bool
	barrier    func() error
	unsound    bool
	clockOff   bool
	deaf       map[string]bool
	wrong      map[string]bool
	seen       map[string]time.Time
	transfers  error
	onTransfer func()
	onPrepare  func()
	onServed   func()
	muted      bool
	done       []string
}

var errTest = errors.New("the test says so")

// passing is a clock that goes with time.Now, in a bubble as well.
type passing struct{ since time.Time }

func (p passing) Mono() time.Duration { return time.Since(p.since) }
func (p passing) WallMillis() int64   { return time.Now().UnixMilli() }

// newReplica returns one that Raft has just made the leader in term 3.
func newReplica() *replica {
	p := &replica{term: 3, leads: true, deaf: map[string]bool{}, wrong: map[string]bool{}, seen: map[string]time.Time{}}
	p.o = New(Options{
		Self: "a", ID: 7, Served: &p.served, Raft: p, Shard: p, Service: service{p}, Peers: p, Figures: p,
		Timeout: timeout, Clock: passing{time.Now().Add(-time.Hour)}, Logger: slog.New(slog.DiscardHandler),
	})
	return p
}

// run has the office work until the returned function is called.
func (p *replica) run() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan struct{})
	go func() { p.o.Run(ctx); close(over) }()
	return func() { cancel(); <-over }
}

// raftSays tells the office, and the world, who leads.
func (p *replica) raftSays(term uint64, leads bool) {
	p.with(func() { p.term, p.leads = term, leads })
	p.o.Changes() <- leads
}

func (p *replica) with(fn func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fn()
}

func get[T any](p *replica, v *T) T {
	p.mu.Lock()
	defer p.mu.Unlock()
	return *v
}

func (p *replica) did(what string) { p.with(func() { p.done = append(p.done, what) }) }

func (p *replica) Term() uint64 { return get(p, &p.term) }

func (p *replica) Leads(term uint64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.leads && p.term == term
}

func (p *replica) Barrier() error {
	if fn := get(p, &p.barrier); fn != nil {
		return fn()
	}
	return nil
}

func (p *replica) Transfer(node string) error {
	p.did("transfer " + node)
	if fn := get(p, &p.onTransfer); fn != nil {
		fn()
	}
	return get(p, &p.transfers)
}

func (p *replica) Sound() bool                   { return !get(p, &p.unsound) }
func (p *replica) Silence() time.Duration        { return silence }
func (p *replica) ClockOff(context.Context) bool { return get(p, &p.clockOff) }
func (p *replica) HandOver(context.Context)      { p.did("hand over") }
func (p *replica) Election(outcome string)       { p.did(outcome) }
func (p *replica) Seen(node string) time.Time    { return p.seen[node] }
func (p *replica) Wrong(node string) bool        { return get(p, &p.wrong)[node] }

func (p *replica) Others() []string {
	if get(p, &p.alone) {
		return nil
	}
	return []string{"b", "c"}
}

func (p *replica) Mute(on bool) {
	p.with(func() { p.muted = on })
	if on {
		p.did("mute")
	}
}

func (p *replica) Confirm(_ context.Context, node string, term uint64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.deaf[node] && term == p.term
}

type service struct{ *replica }

func (s service) Opened(uint64)      { s.did("opened") }
func (s service) Closed()            { s.did("closed") }
func (s service) GiveUpLease(uint64) { s.did("lease") }

func (s service) Prepare() {
	s.did("prepare")
	if fn := get(s.replica, &s.onPrepare); fn != nil {
		fn()
	}
}

func (s service) Served(uint64) {
	s.did("served")
	if fn := get(s.replica, &s.onServed); fn != nil {
		fn()
	}
}

func (p *replica) expect(t *testing.T, name, want string) {
	t.Helper()
	if got := strings.Join(get(p, &p.done), ", "); got != want {
		t.Errorf("%s: %q, want %q", name, got, want)
	}
}

const opened = "closed, won, prepare, served, opened"

// TestServiceOpensAfterTheSilence: the leases of earlier leaders must be over, and what was committed before applied.
func TestServiceOpensAfterTheSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newReplica()
		applied := make(chan struct{})
		p.barrier = func() error { <-applied; return nil }
		defer p.run()()
		p.raftSays(3, true)
		time.Sleep(silence / 2)
		close(applied)
		time.Sleep(silence/2 - time.Millisecond)
		synctest.Wait()
		if p.served.Load() != 0 {
			t.Error("it serves under an earlier leader's lease")
		}
		time.Sleep(time.Millisecond) // the silence counts from the election, not from the barrier
		synctest.Wait()
		if p.served.Load() != 3 || p.o.Since() != p.o.opt.Clock.Mono() {
			t.Errorf("it serves in term %d, since %v", p.served.Load(), p.o.Since())
		}
		p.expect(t, "it serves", opened)
		p.raftSays(4, false)
		synctest.Wait()
		if p.served.Load() != 0 {
			t.Error("it serves on")
		}
		p.expect(t, "another leads", opened+", closed")
	})
}

// TestNothingIsServedBeforeTheBarrier, however long it takes.
func TestNothingIsServedBeforeTheBarrier(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newReplica()
		applied := make(chan struct{})
		p.barrier = func() error { <-applied; return nil }
		defer p.run()()
		p.raftSays(3, true)
		time.Sleep(time.Hour)
		synctest.Wait()
		p.expect(t, "it waits", "closed, won")
		close(applied)
		synctest.Wait()
		p.expect(t, "it serves", opened)
	})
}

// TestWhatKeepsALeaderFromServing: it tries again as long as it leads, and gives the leadership up if it cannot.
func TestWhatKeepsALeaderFromServing(t *testing.T) {
	for name, c := range map[string]struct {
		set  func(p *replica, on bool)
		hand bool
	}{
		"the barrier fails": {func(p *replica, on bool) {
			p.barrier = nil
			if on {
				p.barrier = func() error { return errTest }
			}
		}, false},
		"its state is wrong": {func(p *replica, on bool) { p.unsound = on }, false},
		"its clock is off":   {func(p *replica, on bool) { p.clockOff = on }, true},
	} {
		for _, over := range []bool{true, false} {
			synctest.Test(t, func(t *testing.T) {
				p := newReplica()
				c.set(p, true)
				defer p.run()()
				p.raftSays(3, true)
				time.Sleep(silence + 2*establishPause)
				synctest.Wait()
				did := strings.Join(get(p, &p.done), ", ")
				if p.served.Load() != 0 || strings.Contains(did, "hand over") != c.hand || strings.Contains(did, "mute") {
					t.Errorf("%s: serves in term %d, did %s", name, p.served.Load(), did)
				}
				if over {
					p.with(func() { c.set(p, false) })
					time.Sleep(2 * establishPause)
					synctest.Wait()
					if p.served.Load() != 3 {
						t.Errorf("%s: it does not try again", name)
					}
					return
				}
				time.Sleep(timeout + time.Second)
				synctest.Wait()
				if !get(p, &p.muted) {
					t.Errorf("%s: it keeps a leadership that it cannot use", name)
				}
				p.raftSays(4, false)
				time.Sleep(2 * establishPause)
				synctest.Wait()
				if get(p, &p.muted) || p.served.Load() != 0 {
					t.Errorf("%s: after another was elected it is mute, or serves", name)
				}
			})
		}
	}
}

// TestLostMeanwhile: an attempt ends with the leadership that it was for, and a new one begins anew.
func TestLostMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newReplica()
		defer p.run()()
		p.raftSays(3, true)
		time.Sleep(silence / 2)
		p.raftSays(4, false)
		p.raftSays(5, true)
		time.Sleep(silence - time.Millisecond)
		synctest.Wait()
		if p.served.Load() != 0 {
			t.Error("the old silence counted")
		}
		time.Sleep(time.Millisecond)
		synctest.Wait()
		if p.served.Load() != 5 {
			t.Errorf("it serves in term %d", p.served.Load())
		}
	})
}

// TestLostAsItOpens: what was closed already is not opened by an attempt that was under way.
func TestLostAsItOpens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newReplica()
		p.onPrepare = func() {
			p.raftSays(4, false)
			time.Sleep(time.Millisecond) // the service is closed meanwhile
		}
		defer p.run()()
		p.raftSays(3, true)
		time.Sleep(2 * silence)
		synctest.Wait()
		if term := p.served.Load(); term != 0 {
			t.Errorf("it serves in term %d", term)
		}
		p.expect(t, "closed", "closed, won, prepare, closed, served")
	})
}

// TestFoundWrongAsItOpens: the service closes at once.
func TestFoundWrongAsItOpens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newReplica()
		p.onServed = func() { p.with(func() { p.unsound = true }) }
		defer p.run()()
		p.raftSays(3, true)
		time.Sleep(silence)
		synctest.Wait()
		if p.served.Load() != 0 {
			t.Error("it serves a wrong state")
		}
		p.expect(t, "closed", "closed, won, prepare, served")
	})
}

// TestResign: others get nothing of this leader until it is deposed; one alone stays.
func TestResign(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newReplica()
		began := time.Now()
		p.o.Resign(t.Context(), 3)
		if took := time.Since(began); took != 2*timeout+time.Second || p.muted {
			t.Errorf("nobody took it for %v, mute %v", took, p.muted)
		}
		time.AfterFunc(time.Second, func() { p.with(func() { p.leads = false }) })
		began = time.Now()
		p.o.Resign(t.Context(), 3)
		if took := time.Since(began); took > time.Second+establishPause || p.muted {
			t.Errorf("deposed, and mute for %v", took)
		}
		p.alone, p.leads, p.done = true, true, nil
		p.o.Resign(t.Context(), 3)
		p.expect(t, "alone", "")
	})
}

// TestTransfer: the lease is given up before the target can be elected, and only for a target that is alive.
func TestTransfer(t *testing.T) {
	for name, c := range map[string]struct {
		given func(p *replica)
		to    string
		want  error
		done  string
	}{
		"to a voter":        {func(*replica) {}, "b", nil, "lease, transfer b"},
		"to itself":         {func(*replica) {}, "a", nil, ""},
		"to a stranger":     {func(*replica) {}, "x", ErrRefused, ""},
		"to a wrong one":    {func(p *replica) { p.wrong["b"] = true }, "b", ErrRefused, ""},
		"to one that hangs": {func(p *replica) { p.deaf["b"] = true }, "b", ErrRefused, ""},
		"of another's":      {func(p *replica) { p.leads = false }, "b", session.ErrNotServing, ""},
		"of another term":   {func(p *replica) { p.term = 4 }, "b", session.ErrNotServing, ""},
		"in vain":           {func(p *replica) { p.transfers = errTest }, "b", errTest, "lease, transfer b"},
	} {
		p := newReplica()
		c.given(p)
		if err := p.o.Transfer(t.Context(), 3, c.to); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
		p.expect(t, name, c.done)
	}
}

// TestTransferAgain: one at a time, and after one that failed only when something was heard of the target.
func TestTransferAgain(t *testing.T) {
	p := newReplica()
	var second error
	p.onTransfer = func() { second = p.o.Transfer(t.Context(), 3, "c") }
	if err := p.o.Transfer(t.Context(), 3, "b"); err != nil || !errors.Is(second, ErrRefused) {
		t.Errorf("%v, and meanwhile %v", err, second)
	}
	p.onTransfer, p.transfers = nil, errTest
	if err := p.o.Transfer(t.Context(), 3, "b"); !errors.Is(err, errTest) {
		t.Fatal(err)
	}
	p.transfers = nil
	if err := p.o.Transfer(t.Context(), 3, "b"); !errors.Is(err, ErrRefused) {
		t.Errorf("again at once: %v", err)
	}
	p.seen["b"] = time.Now().Add(time.Second)
	if err := p.o.Transfer(t.Context(), 3, "b"); err != nil {
		t.Errorf("after a sign of life: %v", err)
	}
}
