package batch

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/lockstepkv/lockstep/fsm"
	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/fsm/commandset"
	"github.com/lockstepkv/lockstep/shard/session"
	"github.com/lockstepkv/lockstep/store"
)

// future is an entry that the test commits when it wants to.
type future struct {
	raft.ApplyFuture
	data     []byte
	done     chan struct{}
	err      error
	response any
}

func (f *future) Error() error {
	<-f.done
	return f.err
}

func (f *future) Response() any { return f.response }

// fakeLog keeps what is appended until the test commits it.
type fakeLog struct {
	machine *fsm.FSM
	down    chan struct{} // closed when it has stopped

	mu    sync.Mutex
	index uint64
	open  []*future
}

func (l *fakeLog) Append(data []byte) raft.ApplyFuture {
	l.mu.Lock()
	defer l.mu.Unlock()
	f := &future{data: data, done: make(chan struct{})}
	l.open = append(l.open, f)
	return f
}

func (l *fakeLog) Await(f raft.Future) error {
	select {
	case <-f.(*future).done:
		return f.Error()
	case <-l.down:
		return session.ErrDoubt
	}
}

func (l *fakeLog) LastIndex() uint64 { return 0 }

// take returns what is on its way when everybody waits.
func (l *fakeLog) take() []*future {
	synctest.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	open := l.open
	l.open = nil
	return open
}

// commit applies what is on its way.
func (l *fakeLog) commit(list []*future) {
	for _, f := range list {
		l.index++
		f.response = l.machine.Apply(&raft.Log{Type: raft.LogCommand, Index: l.index, Term: 1, Data: f.data})
		close(f.done)
	}
	synctest.Wait()
}

// commitAll commits until nothing more comes.
func (l *fakeLog) commitAll() {
	for list := l.take(); len(list) > 0; list = l.take() {
		l.commit(list)
	}
}

// end ends what is on its way with an error.
func end(list []*future, err error) {
	for _, f := range list {
		f.err = err
		close(f.done)
	}
	synctest.Wait()
}

// fakeReplica is all that the packer asks about; the test sets the fields while everybody waits.
type fakeReplica struct {
	term        uint64
	unsure      bool // may not acknowledge
	stamp       fsm.Stamp
	limit       int64
	evicts      bool
	settings    []fsm.SettingChange
	implausible bool

	tight, full, onlyFrees bool
	noneFits               atomic.Bool
	asked                  int64 // bytes that were not answered

	units, batches []int // of each entry
}

func (r *fakeReplica) Leading() uint64                         { return r.term }
func (r *fakeReplica) MayAcknowledge(term uint64) bool         { return r.term == term && !r.unsure }
func (r *fakeReplica) Stamp() fsm.Stamp                        { return r.stamp }
func (r *fakeReplica) MemoryLimit() (bytes int64, evicts bool) { return r.limit, r.evicts }
func (r *fakeReplica) Settings() []fsm.SettingChange           { return r.settings }
func (r *fakeReplica) Plausible(*fsm.Entry) bool               { return !r.implausible }
func (r *fakeReplica) Tight() bool                             { return r.tight }
func (r *fakeReplica) Full() bool                              { return r.full }
func (r *fakeReplica) Behind(uint64, time.Time) bool           { return false }
func (r *fakeReplica) Frees(b *fsm.Batch) bool {
	return commandset.New().FreesAll(b.Parts, b.Body)
}

func (r *fakeReplica) Logged(_ time.Duration, units, batches int) {
	r.units, r.batches = append(r.units, units), append(r.batches, batches)
}

func (r *fakeReplica) Ask(bytes int64, frees bool) bool {
	if r.noneFits.Load() || r.onlyFrees && !frees {
		return false
	}
	r.asked += bytes
	return true
}

func (r *fakeReplica) Answered(bytes int64) { r.asked -= bytes }

// packing is a packer in virtual time, with a session of its own node, n1.
type packing struct {
	t       *testing.T
	replica *fakeReplica
	log     *fakeLog
	session *session.Session
	packer  *Packer
	seq     map[string]uint64
	answers chan error
}

func withPacker(t *testing.T, fn func(p *packing)) {
	synctest.Test(t, func(t *testing.T) {
		p := &packing{
			t: t, replica: &fakeReplica{term: 1},
			log: &fakeLog{machine: fsm.New(fsm.Options{Table: commandset.New(), Store: store.Options{Policy: store.AllKeysLRU}}), down: make(chan struct{})},
			seq: map[string]uint64{}, answers: make(chan error, 100),
		}
		p.session = session.New(session.Options{
			Node: "n1", Boot: 1, MaxBytes: 1 << 30, Kick: func() { p.packer.Kick() },
			Queued: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "x"}),
		})
		p.packer = New(Options{
			Session: p.session, Shard: p.replica, State: p.log.machine, Log: p.log, Followers: p.replica, Disks: p.replica,
		})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			p.packer.Run(ctx)
			close(ended)
		}()
		defer func() {
			cancel()
			close(p.log.down)
			<-ended
			p.session.Close()
		}()
		fn(p)
	})
}

func units(args ...string) command.Batch {
	var b command.Batch
	var list command.Args
	for _, a := range args {
		list = append(list, []byte(a))
	}
	b.Add(list)
	return b
}

// propose is a write of a client of this node.
func (p *packing) propose(args ...string) {
	go func() {
		_, err := p.session.Propose(context.Background(), units(args...))
		p.answers <- err
	}()
	synctest.Wait()
}

// submit is a batch that another node sends.
func (p *packing) submit(ctx context.Context, node string, args ...string) {
	b := units(args...)
	if b.Size() > session.LargeBytes {
		node = fsm.LargeBatches(node)
	}
	p.seq[node]++
	batch := fsm.Batch{Node: node, Boot: 1, Seq: p.seq[node], Units: b.N, Parts: b.Parts, Body: b.Body}
	go func() {
		r, err := p.packer.Submit(ctx, batch)
		if err == nil {
			err = r.Err
		}
		p.answers <- err
	}()
	synctest.Wait()
}

// want checks the next answers, in whatever order.
func (p *packing) want(n int, want error) {
	p.t.Helper()
	synctest.Wait()
	if len(p.answers) != n {
		p.t.Fatalf("%d answers, want %d", len(p.answers), n)
	}
	for range n {
		if err := <-p.answers; !errors.Is(err, want) {
			p.t.Fatalf("answer %v, want %v", err, want)
		}
	}
}

// entry decodes one that is on its way.
func (p *packing) entry(list []*future) (e fsm.Entry) {
	p.t.Helper()
	if len(list) != 1 {
		p.t.Fatalf("%d entries on their way", len(list))
	}
	if err := fsm.DecodeEntry(list[0].data, &e); err != nil {
		p.t.Fatal(err)
	}
	return e
}

func (p *packing) value(key string) (v string) {
	p.log.machine.View(fsm.Stamp{}, func(ctx *command.Ctx) {
		if e := ctx.Lookup([]byte(key)); e != nil {
			v = string(e.Bytes())
		}
	})
	return v
}

// TestWhatComesMeanwhileSharesAnEntry, of this node and of others.
func TestWhatComesMeanwhileSharesAnEntry(t *testing.T) {
	withPacker(t, func(p *packing) {
		p.propose("APPEND", "k", "a")
		first := p.log.take()
		for i := range 3 {
			p.propose("APPEND", "k", "b")
			p.submit(context.Background(), fmt.Sprint("n", i+2), "APPEND", "k", "c")
		}
		if more := p.log.take(); len(more) > 0 {
			t.Fatal("a second entry is on its way")
		}
		p.log.commit(first)
		p.want(1, nil)
		second := p.log.take()
		if e := p.entry(second); len(e.Batches) != 4 { // those of others, and one of this node
			t.Errorf("%d batches", len(e.Batches))
		}
		p.log.commit(second)
		p.want(6, nil)
		if got := p.value("k"); got != "acccbbb" {
			t.Errorf("%q", got)
		}
		if fmt.Sprint(p.replica.units, p.replica.batches) != "[1 6] [1 4]" || p.replica.asked != 0 {
			t.Errorf("units %v, batches %v; %d bytes are still asked for", p.replica.units, p.replica.batches, p.replica.asked)
		}
	})
}

// TestWithoutALeader: what others sent goes back for certain, what is this node's own waits.
func TestWithoutALeader(t *testing.T) {
	withPacker(t, func(p *packing) {
		p.replica.term = 0
		p.submit(context.Background(), "n2", "SET", "k", "v")
		p.want(1, session.ErrNotServing)
		p.propose("SET", "k", "v")
		p.want(0, nil)
		p.replica.term = 2
		p.packer.Kick()
		p.log.commitAll()
		p.want(1, nil)
	})
}

// TestUnsureAcknowledgement: an entry that was applied when another term may have begun is in
// doubt; this node's own batches go again under their numbers, and are applied once.
func TestUnsureAcknowledgement(t *testing.T) {
	withPacker(t, func(p *packing) {
		p.propose("APPEND", "k", "x")
		p.submit(context.Background(), "n2", "APPEND", "k", "x")
		p.log.commit(p.log.take())
		p.want(1, nil)
		p.replica.unsure = true
		p.log.commit(p.log.take())
		p.want(1, session.ErrDoubt)
		p.propose("APPEND", "k", "x")
		p.log.commit(p.log.take())
		p.want(0, nil)
		p.replica.unsure = false
		p.packer.Kick()
		p.log.commitAll()
		p.want(1, nil)
		if got := p.value("k"); got != "xxx" {
			t.Errorf("%q", got)
		}
	})
}

// TestErrorsOfRaft: which prove that nothing was logged.
func TestErrorsOfRaft(t *testing.T) {
	for _, c := range []struct{ raft, want error }{
		{raft.ErrNotLeader, session.ErrNotServing},
		{raft.ErrLeadershipTransferInProgress, session.ErrNotServing},
		{raft.ErrEnqueueTimeout, session.ErrNotServing},
		{raft.ErrLeadershipLost, session.ErrDoubt},
		{raft.ErrRaftShutdown, session.ErrDoubt},
		{errors.New("the disk is broken"), session.ErrDoubt},
	} {
		withPacker(t, func(p *packing) {
			p.submit(context.Background(), "n2", "SET", "k", "v")
			end(p.log.take(), c.raft)
			p.want(1, c.want)
			if p.replica.asked != 0 {
				t.Errorf("after %v %d bytes are still asked for", c.raft, p.replica.asked)
			}
		})
	}
}

// TestUnreadEntry: its batches end; they are not sent again.
func TestUnreadEntry(t *testing.T) {
	withPacker(t, func(p *packing) {
		p.propose("SET", "k", "v")
		f := p.log.take()[0]
		f.response = errors.New("no such format")
		close(f.done)
		p.want(1, command.ErrInDoubt)
		if more := p.log.take(); len(more) > 0 {
			t.Error("it was sent again")
		}
	})
}

// TestFullDisks: only what frees is logged; the rest is refused for certain.
func TestFullDisks(t *testing.T) {
	for name, fill := range map[string]func(r *fakeReplica){
		"as the level says":       func(r *fakeReplica) { r.tight, r.full = true, true },
		"by what the entry takes": func(r *fakeReplica) { r.onlyFrees = true },
	} {
		t.Run(name, func(t *testing.T) {
			withPacker(t, func(p *packing) {
				p.propose("SET", "k", "v")
				p.log.commitAll()
				p.want(1, nil)
				fill(p.replica)
				p.propose("SET", "k", "w")
				p.want(1, command.ErrNoRoom)
				time.Sleep(session.RetryPause)
				p.submit(context.Background(), "n2", "SET", "k", "w")
				p.want(1, command.ErrNoRoom)
				time.Sleep(session.RetryPause)
				p.propose("DEL", "k")
				list := p.log.take()
				if e := p.entry(list); (e.OOMLimit == command.NoDisk) != p.replica.tight {
					t.Errorf("limit %d", e.OOMLimit)
				}
				p.log.commit(list)
				p.want(1, nil)
				p.replica.noneFits.Store(true)
				p.propose("DEL", "k")
				p.want(1, command.ErrNoRoom)
				if p.replica.asked != 0 {
					t.Errorf("%d bytes are still asked for", p.replica.asked)
				}
			})
		})
	}
}

// TestWantedEntries: an entry, a note or an audit that is wanted is logged though nothing waits,
// once, also when there is no room at first.
func TestWantedEntries(t *testing.T) {
	withPacker(t, func(p *packing) {
		p.packer.Kick()
		if list := p.log.take(); len(list) > 0 {
			t.Fatal("an entry that nobody wants")
		}
		for _, c := range []struct {
			want    func()
			setting []fsm.SettingChange
		}{
			{p.packer.WantEntry, nil},
			{p.packer.WantNote, []fsm.SettingChange{{Setting: fsm.TakeNote}}},
			{p.packer.WantAudit, []fsm.SettingChange{{Setting: fsm.Audit}}},
		} {
			c.want()
			list := p.log.take()
			if e := p.entry(list); len(e.Batches) > 0 || fmt.Sprint(e.Settings) != fmt.Sprint(c.setting) {
				t.Errorf("%+v, want %v", e, c.setting)
			}
			p.log.commit(list)
		}
		p.replica.noneFits.Store(true)
		p.packer.WantEntry()
		time.Sleep(time.Second)
		if list := p.log.take(); len(list) > 0 {
			t.Fatal("it was logged without room")
		}
		p.replica.noneFits.Store(false)
		time.Sleep(session.RetryPause)
		p.entry(p.log.take())
	})
}

// TestStampsGrow, whatever the clock does.
func TestStampsGrow(t *testing.T) {
	withPacker(t, func(p *packing) {
		newest := fsm.Stamp{}
		for _, s := range []fsm.Stamp{{Wall: 1000, Mono: 10}, {Wall: 900, Mono: 20}, {Wall: 2000, Mono: 5}} {
			p.replica.stamp = s
			newest = fsm.Stamp{Wall: max(newest.Wall, s.Wall), Mono: max(newest.Mono, s.Mono)}
			p.propose("SET", "k", "v")
			list := p.log.take()
			if e := p.entry(list); e.StampMillis != newest.Wall || e.MonoMillis != newest.Mono {
				t.Errorf("stamped %d and %d, want %+v", e.StampMillis, e.MonoMillis, newest)
			}
			p.log.commit(list)
		}
	})
}

// TestEntryEvicts what is above the limit, or says that memory is full where nothing may be evicted.
func TestEntryEvicts(t *testing.T) {
	withPacker(t, func(p *packing) {
		for i := range 20 {
			p.propose("SET", fmt.Sprint("key", i), "value")
			p.log.commitAll()
		}
		used := p.log.machine.Used()
		p.replica.limit = used / 2
		p.packer.WantEntry()
		list := p.log.take()
		if e := p.entry(list); len(e.Evictions) > 0 || e.OOMLimit != used/2 {
			t.Errorf("evicts %d keys, limit %d", len(e.Evictions), e.OOMLimit)
		}
		p.log.commit(list)
		p.replica.evicts = true
		p.packer.WantEntry()
		p.log.commitAll()
		if now := p.log.machine.Used(); now > used/2 {
			t.Errorf("%d bytes are used, the limit is %d", now, used/2)
		}
	})
}

// large is a value that goes in fragments.
func large() string { return string(make([]byte, 3<<20)) }

// TestLargeEntryGoesBesides: small ones pass it, and while they come it takes less of the log.
func TestLargeEntryGoesBesides(t *testing.T) {
	withPacker(t, func(p *packing) {
		p.propose("SET", "big", large())
		window := p.log.take()
		if len(window) != largeWindow {
			t.Fatalf("%d fragments on their way", len(window))
		}
		p.submit(context.Background(), "n2", "SET", "k", "v")
		p.log.commit(p.log.take())
		p.want(1, nil)
		p.log.commit(window[:largeWindow-sharedWindow])
		if early := p.log.take(); len(early) != 0 {
			t.Errorf("%d fragments before there is room, with others beside", len(early))
		}
		p.log.commit(window[largeWindow-sharedWindow : largeWindow-sharedWindow+1])
		beside := p.log.take()
		if len(beside) != 1 {
			t.Errorf("%d fragments more, with others beside", len(beside))
		}
		p.log.commit(append(window[largeWindow-sharedWindow+1:], beside...))
		p.log.commitAll()
		p.want(1, nil)
		if got := p.value("big"); len(got) != 3<<20 || p.replica.asked != 0 {
			t.Errorf("%d bytes; %d are still asked for", len(got), p.replica.asked)
		}
	})
}

// TestLargeBatchesTakeTurns: those of this node and of others.
func TestLargeBatchesTakeTurns(t *testing.T) {
	withPacker(t, func(p *packing) {
		release := p.packer.HoldLarge()
		for i := range 2 {
			p.propose("APPEND", "order", "own"+large())
			p.submit(context.Background(), "n2", "APPEND", fmt.Sprint("other", i), large())
		}
		if p.packer.LargeWaiting() != 2 {
			t.Errorf("%d wait", p.packer.LargeWaiting())
		}
		release()
		p.log.commitAll()
		p.want(4, nil)
		if fmt.Sprint(p.replica.batches) != "[1 1 1 1]" {
			t.Errorf("batches %v", p.replica.batches)
		}
	})
}

// TestWithdrawnInTheMidst: a leader stops between two fragments.
func TestWithdrawnInTheMidst(t *testing.T) {
	withPacker(t, func(p *packing) {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute+session.WithdrawGrace)
		defer cancel()
		p.submit(ctx, "n2", "SET", "big", large()+large())
		p.log.commit(p.log.take())
		rest := p.log.take()
		time.Sleep(time.Minute + time.Second)
		p.log.commit(rest)
		p.want(1, session.ErrNotServing)
		if more := p.log.take(); len(more) > 1 || p.value("big") != "" { // it looks before it waits
			t.Errorf("%d fragments more", len(more))
		}
	})
}

// TestLargeBatchWithoutATurn is given up for certain when its time is up.
func TestLargeBatchWithoutATurn(t *testing.T) {
	withPacker(t, func(p *packing) {
		release := p.packer.HoldLarge()
		defer release()
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		p.submit(ctx, "n2", "SET", "big", large())
		time.Sleep(time.Minute - session.WithdrawGrace)
		p.want(1, session.ErrNotServing)
		if n := p.packer.LargeWaiting(); n != 0 {
			t.Errorf("%d wait", n)
		}
	})
}

// TestImplausibleEntry does not reach the log.
func TestImplausibleEntry(t *testing.T) {
	withPacker(t, func(p *packing) {
		p.replica.implausible = true
		p.submit(context.Background(), "n2", "SET", "k", "v")
		p.want(1, session.ErrNotServing)
		if list := p.log.take(); len(list) > 0 {
			t.Error("it was logged")
		}
	})
}
