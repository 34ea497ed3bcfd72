package waiting

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/fsm/command/locks"
	"github.com/lockstepkv/lockstep/fsm/commandset"
	"github.com/lockstepkv/lockstep/fsm/lock"
	"github.com/lockstepkv/lockstep/fsm/wait"
	"github.com/lockstepkv/lockstep/resp"
	"github.com/lockstepkv/lockstep/shard/notify"
	"github.com/lockstepkv/lockstep/store"
)

// fakeShard is a shard of which the test says what it answers. LS.LOCK is queued.
type fakeShard struct {
	watchers notify.Watchers

	mu       sync.Mutex
	proposed []string // guarded by mu; names of commands
	watches  int      // guarded by mu
	reads    int      // guarded by mu
	closed   bool     // guarded by mu; whoever watches is told at once that events were missed
	silent   error    // guarded by mu; the answer to all but LS.LOCK
	cancel   resp.Value
	token    string // guarded by mu; of the newest request
}

func (s *fakeShard) Propose(_ context.Context, b command.Batch) ([]resp.Value, error) {
	var r command.UnitReader
	var u command.Unit
	r.Reset(slices.Concat(append(b.Parts, b.Body)...))
	if err := r.Next(&u); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	args := u.Cmds[0]
	s.proposed = append(s.proposed, string(args[0]))
	if string(args[0]) != "LS.LOCK" {
		return []resp.Value{s.cancel}, s.silent
	}
	s.token = string(args[5])
	return []resp.Value{resp.Array(resp.Int(locks.Queued), resp.Int(1), resp.Int(1), resp.BulkString("other"), resp.BulkString(s.token))}, nil
}

func (s *fakeShard) Read(_ context.Context, _ command.ReadOptions, q command.Query) (command.ReadInfo, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reads++
	if s.silent != nil {
		return command.ReadInfo{}, s.silent
	}
	t := lock.NewTable(false)
	t.Acquire(0, lock.Request{Name: "l", Token: "other", TTLMillis: 1000})
	t.Acquire(0, lock.Request{Name: "l", Token: s.token, TTLMillis: 1000, WaitMillis: 1000})
	q.Run(&command.Ctx{Table: commandset.New(), Store: store.New(store.DefaultOptions()), Locks: t})
	return command.ReadInfo{}, nil
}

func (s *fakeShard) Watch(topic wait.Topic) (<-chan wait.Event, func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.watches++; s.closed {
		missed := make(chan wait.Event)
		close(missed)
		return missed, func() {}
	}
	return s.watchers.Watch(topic)
}

func (s *fakeShard) tell(e lock.Event) {
	s.mu.Lock()
	e.Token = s.token
	s.mu.Unlock()
	for _, notice := range e.Notices(7) {
		s.watchers.Tell(notice)
	}
}

func (s *fakeShard) set(fn func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fn()
}

func (s *fakeShard) log() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.proposed, " ")
}

type fakeClient struct {
	mu      sync.Mutex
	written uint64
	gone    bool
	hungUp  bool
}

func (c *fakeClient) Owner() string { return "" }

func (c *fakeClient) Wrote(index uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.written = max(c.written, index)
}

func (c *fakeClient) Gone() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.gone
}

func (c *fakeClient) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gone = true
}

func (c *fakeClient) HangUp() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hungUp = true
}

// scene is a client that waits a second for a lock, in virtual time.
type scene struct {
	*fakeShard
	client   *fakeClient
	clients  *Clients
	stopping chan struct{}
	result   chan LockResult
	began    time.Time
}

func blockedScene(t *testing.T, prepare func(*fakeShard)) *scene {
	s := &scene{fakeShard: &fakeShard{cancel: resp.NilArray}, client: &fakeClient{}, stopping: make(chan struct{}), result: make(chan LockResult, 1), began: time.Now()}
	if prepare != nil {
		prepare(s.fakeShard)
	}
	s.clients = New(Config{
		RequestTimeout: time.Second, Stopping: s.stopping,
		Failed: func(_ context.Context, _ Client, _ Shard, _ command.Args, err error) resp.Value {
			return resp.Err("CLUSTERDOWN " + err.Error())
		},
	})
	go func() {
		s.result <- s.clients.Lock(t.Context(), s.client, s.fakeShard, lock.Request{Name: "l", TTLMillis: 5000, WaitMillis: 1000}, "")
	}()
	synctest.Wait() // it is blocked
	return s
}

// pass lets virtual time pass until the given time since the beginning.
func (s *scene) pass(d time.Duration) {
	time.Sleep(d - time.Since(s.began))
	synctest.Wait()
}

func (s *scene) want(t *testing.T, after time.Duration, ok func(LockResult) bool, log string) {
	t.Helper()
	got := <-s.result
	took := time.Since(s.began)
	s.clients.Wait()
	if took != after || !ok(got) || s.log() != log {
		t.Errorf("after %v: %+v, proposed %s; want %v, %s", took, got, s.log(), after, log)
	}
}

func got(r LockResult) bool    { return r.Got && r.Fence == 9 && r.Token != "" }
func notGot(r LockResult) bool { return !r.Got && !r.Err.IsError() }
func failed(code string) func(LockResult) bool {
	return func(r LockResult) bool { return !r.Got && resp.Error(r.Err.Str).Code() == code }
}

var grant = lock.Event{Kind: lock.EventGranted, Name: "l", Fence: 9}

// TestWaitEnds, for each of the reasons, at once or at the next look; the place is given up
// unless the log has said that it is gone.
func TestWaitEnds(t *testing.T) {
	const asked, undone = "LS.LOCK", "LS.LOCK LS.LOCKCANCEL"
	for name, c := range map[string]struct {
		prepare func(*fakeShard)
		happens func(*scene)
		after   time.Duration
		ok      func(LockResult) bool
		log     string
	}{
		"granted":   {nil, func(s *scene) { s.tell(grant) }, 300 * time.Millisecond, got, asked},
		"timed out": {nil, func(s *scene) { s.tell(lock.Event{Kind: lock.EventWaiterGone, Reason: lock.TimedOut}) }, 300 * time.Millisecond, notGot, asked},
		"node gone": {nil, func(s *scene) { s.tell(lock.Event{Kind: lock.EventWaiterGone, Reason: lock.NodeGone}) }, 300 * time.Millisecond, failed("TRYAGAIN"), asked},
		"the log is late": {nil, func(s *scene) {
			s.pass(1050 * time.Millisecond)
			s.tell(grant)
		}, 1050 * time.Millisecond, got, asked},
		"the log says nothing": {nil, func(*scene) {}, 1100 * time.Millisecond, notGot, undone},
		"granted, but not told": {
			func(s *fakeShard) { s.cancel = resp.Array(resp.Int(9), resp.Int(1)) },
			func(*scene) {}, 1100 * time.Millisecond, got, undone,
		},
		"client gone":   {nil, func(s *scene) { s.client.leave() }, 500 * time.Millisecond, failed("TRYAGAIN"), undone},
		"node stops":    {nil, func(s *scene) { close(s.stopping) }, 300 * time.Millisecond, failed("TRYAGAIN"), undone},
		"gone, granted": {nil, func(s *scene) { s.client.leave(); s.tell(grant) }, 300 * time.Millisecond, failed("TRYAGAIN"), undone},
		"events missed, then granted": {nil, func(s *scene) {
			s.watchers.Missed()
			synctest.Wait()
			s.tell(grant)
		}, 300 * time.Millisecond, got, asked},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := blockedScene(t, c.prepare)
				s.pass(300 * time.Millisecond)
				c.happens(s)
				s.want(t, c.after, c.ok, c.log)
				if s.client.hungUp != s.client.gone {
					t.Errorf("gone: %v, hung up: %v", s.client.gone, s.client.hungUp)
				}
				if n := s.client.written; strings.HasPrefix(name, "granted") && c.log == asked && n != 7 {
					t.Errorf("written up to %d", n)
				}
			})
		})
	}
}

// TestShardThatTellsNothingIsLeftAlone: its events are missed again and again, and it does
// not answer. It is asked at each look and not without a pause.
func TestShardThatTellsNothingIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := blockedScene(t, func(s *fakeShard) { s.closed, s.silent = true, command.ErrUnavailable })
		s.pass(999 * time.Millisecond)
		s.set(func() {
			if s.watches > 10 || s.reads > 10 || s.reads < 3 {
				t.Errorf("%d watches and %d reads in a second", s.watches, s.reads)
			}
			s.closed, s.silent = false, nil
		})
		s.pass(1050 * time.Millisecond) // another look
		s.tell(grant)
		s.want(t, 1050*time.Millisecond, got, "LS.LOCK")
	})
}

// TestTakingBackEnds with the shard's answer, with patience, or with this node.
func TestTakingBackEnds(t *testing.T) {
	for name, c := range map[string]struct {
		happens func(*scene)
		least   int
		most    int
	}{
		"answered":   {func(s *scene) { s.pass(2900 * time.Millisecond); s.set(func() { s.silent = nil }) }, 12, 12},
		"given up":   {func(*scene) {}, 26, 30}, // wait, ttl and one request's time
		"node stops": {func(s *scene) { close(s.stopping) }, 1, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := blockedScene(t, func(s *fakeShard) { s.silent = errors.New("no leader") })
				s.client.leave()
				<-s.result
				synctest.Wait()
				c.happens(s)
				s.clients.Wait()
				if n := strings.Count(s.log(), "LS.LOCKCANCEL"); n < c.least || n > c.most {
					t.Errorf("tried %d times, want %d to %d", n, c.least, c.most)
				}
			})
		})
	}
}

// TestOnlyWhatWasLoggedIsTakenBack: before that there is nothing to undo.
func TestOnlyWhatWasLoggedIsTakenBack(t *testing.T) {
	for _, logged := range []bool{true, false} {
		s := &fakeShard{cancel: resp.NilArray}
		c := New(Config{RequestTimeout: time.Second, Stopping: make(chan struct{})})
		pending := make(chan bool, 1)
		b := blocked{c: c, client: &fakeClient{}, shard: s}
		b.takeBack(command.Args{[]byte("UNDO")}, time.Second, pending)
		if s.log() != "" {
			t.Error("taken back before it was logged")
		}
		pending <- logged
		c.Wait()
		if done := s.log() == "UNDO"; done != logged {
			t.Errorf("logged: %v, taken back: %v", logged, done)
		}
	}
}
