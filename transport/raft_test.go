package transport

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
)

// slowStore is a log store that can be made to block.
type slowStore struct {
	*raft.InmemStore
	mu      sync.Mutex
	gate    chan struct{} // guarded by mu; nil: open
	blocked atomic.Int32
}

func (s *slowStore) StoreLogs(logs []*raft.Log) error {
	s.mu.Lock()
	gate := s.gate
	s.mu.Unlock()
	if gate != nil {
		s.blocked.Add(1)
		<-gate
		s.blocked.Add(-1)
	}
	return s.InmemStore.StoreLogs(logs)
}

func (s *slowStore) block() (release func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	gate := make(chan struct{})
	s.gate = gate
	return sync.OnceFunc(func() {
		s.mu.Lock()
		s.gate = nil
		s.mu.Unlock()
		close(gate)
	})
}

// countFSM counts entries and bytes; its snapshot is big.
type countFSM struct {
	applied  atomic.Int64
	restored atomic.Int64
	snapshot int // bytes
}

func (f *countFSM) Apply(l *raft.Log) any { return f.applied.Add(1) }
func (f *countFSM) Snapshot() (raft.FSMSnapshot, error) {
	return bigSnapshot(f.snapshot), nil
}
func (f *countFSM) Restore(r io.ReadCloser) error {
	n, err := io.Copy(io.Discard, r)
	f.restored.Store(n)
	return err
}

type bigSnapshot int

func (b bigSnapshot) Persist(sink raft.SnapshotSink) error {
	if _, err := sink.Write(make([]byte, b)); err != nil {
		return err
	}
	return sink.Close()
}
func (bigSnapshot) Release() {}

// member is one Raft instance.
type member struct {
	*raft.Raft
	g     *Group
	store *slowStore
	fsm   *countFSM
	snaps *raft.InmemSnapshotStore
}

// raftConfig is that of a member whose leader may be silent for timeout.
func raftConfig(id string, timeout time.Duration) *raft.Config {
	conf := raft.DefaultConfig()
	conf.LocalID = raft.ServerID(id)
	conf.HeartbeatTimeout, conf.ElectionTimeout, conf.LeaderLeaseTimeout = timeout, timeout, timeout
	conf.CommitTimeout = 5 * time.Millisecond
	conf.Logger = hclog.NewNullLogger()
	return conf
}

func (c *cluster) configuration() raft.Configuration {
	var conf raft.Configuration
	for id := range c.peers {
		conf.Servers = append(conf.Servers, raft.Server{ID: raft.ServerID(id), Address: raft.ServerAddress(id)})
	}
	return conf
}

// runRaft starts group's member on a node. trans may wrap its Group.
func (c *cluster) runRaft(id string, group uint32, bootstrap bool, wrap func(*Group) raft.Transport) *member {
	c.tb.Helper()
	m := &member{
		g:     c.nodes[id].Group(group),
		store: &slowStore{InmemStore: raft.NewInmemStore()},
		fsm:   &countFSM{snapshot: 3 << 20}, snaps: raft.NewInmemSnapshotStore(),
	}
	conf := raftConfig(id, cmp.Or(c.silence, time.Second))
	if bootstrap {
		if err := raft.BootstrapCluster(conf, m.store, m.store, m.snaps, m.g, c.configuration()); err != nil {
			c.tb.Fatal(err)
		}
	}
	var trans raft.Transport = m.g
	if wrap != nil {
		trans = wrap(m.g)
	}
	var err error
	if m.Raft, err = raft.NewRaft(conf, m.fsm, m.store, m.store, m.snaps, trans); err != nil {
		c.tb.Fatal(err)
	}
	m.g.Attach(m.Raft)
	c.tb.Cleanup(m.stop)
	return m
}

func (m *member) stop() {
	m.g.Close()
	m.Shutdown().Error()
}

// raftCluster runs one group on three nodes, whose leader stays on a busy machine too.
func raftCluster(tb testing.TB, change ...func(*Options)) (*cluster, map[string]*member) {
	return raftClusterOf(tb, 3*time.Second, change...)
}

// raftClusterOf is raftCluster with a leader that may be silent for less.
func raftClusterOf(tb testing.TB, silence time.Duration, change ...func(*Options)) (*cluster, map[string]*member) {
	c := newCluster(tb, 3)
	c.silence = silence
	c.startAll(change...)
	members := map[string]*member{}
	for id := range c.peers {
		members[id] = c.runRaft(id, 7, true, nil)
	}
	return c, members
}

func waitLeader(tb testing.TB, members map[string]*member) (id string, m *member) {
	tb.Helper()
	eventually(tb, "a leader is elected", func() bool {
		for id, m = range members {
			if m.State() == raft.Leader && m.Barrier(time.Second).Error() == nil {
				return true
			}
		}
		return false
	})
	return id, m
}

func others(members map[string]*member, id string) (ids []string) {
	for other := range members {
		if other != id {
			ids = append(ids, other)
		}
	}
	return ids
}

func TestRaftReplicates(t *testing.T) {
	_, members := raftCluster(t)
	id, leader := waitLeader(t, members)
	for i := range 200 {
		size := []int{1, 1000, inlineBytes + 1, 1 << 20}[i%4]
		if err := leader.Apply(make([]byte, size), time.Minute).Error(); err != nil {
			t.Fatal(err)
		}
	}
	for _, m := range members {
		eventually(t, "all entries are applied everywhere", func() bool { return m.fsm.applied.Load() == 200 })
		addr, leaderID := m.LeaderWithID()
		if string(addr) != id || string(leaderID) != id {
			t.Fatalf("leader is %q at %q, want %q", leaderID, addr, id)
		}
	}
	next := others(members, id)[0]
	if err := leader.LeadershipTransferToServer(raft.ServerID(next), raft.ServerAddress(next)).Error(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "leadership is transferred", func() bool { return members[next].State() == raft.Leader })
}

func TestRaftSendsSnapshots(t *testing.T) {
	c, members := raftCluster(t)
	id, leader := waitLeader(t, members)
	away := others(members, id)[0]
	members[away].stop()
	for range 50 {
		if err := leader.Apply(make([]byte, 100), time.Minute).Error(); err != nil {
			t.Fatal(err)
		}
	}
	last := leader.LastIndex()
	if err := leader.Snapshot().Error(); err != nil {
		t.Fatal(err)
	}
	// Without the entries, only the snapshot can bring the member back.
	if err := leader.store.DeleteRange(1, last); err != nil {
		t.Fatal(err)
	}
	m := c.runRaft(away, 7, false, nil)
	eventually(t, "the snapshot is restored", func() bool { return m.fsm.restored.Load() == 3<<20 })
	eventually(t, "the stream of the snapshot is closed", func() bool {
		s := &c.nodes[id].all()[away].rafts
		s.mu.Lock()
		defer s.mu.Unlock()
		for rc := range s.conns {
			if rc.snapshot.Load() {
				return false
			}
		}
		return true
	})
}

// watchedTransport notes when Raft installs a heartbeat handler, and hands on
// one that must never be called.
type watchedTransport struct {
	*Group
	installed *atomic.Int32
	called    *atomic.Int32
}

func (w watchedTransport) SetHeartbeatHandler(cb func(raft.RPC)) {
	w.installed.Add(1)
	w.Group.SetHeartbeatHandler(func(rpc raft.RPC) {
		w.called.Add(1)
		cb(rpc)
	})
}

// A follower whose disk hangs must not cost the leader its leadership, and Raft
// must never be entered but by its main loop.
func TestFollowersWithHangingDisksKeepTheirLeader(t *testing.T) {
	c := newCluster(t, 3)
	c.startAll()
	var installed, called atomic.Int32
	members := map[string]*member{}
	for id := range c.peers {
		members[id] = c.runRaft(id, 7, true, func(g *Group) raft.Transport {
			return watchedTransport{g, &installed, &called}
		})
	}
	id, leader := waitLeader(t, members)
	eventually(t, "the followers know the leader", func() bool {
		for _, m := range members {
			if addr, _ := m.LeaderWithID(); string(addr) != id {
				return false
			}
		}
		return true
	})
	term := leader.CurrentTerm()
	// Both followers hang: without the guard the leader loses its quorum.
	var release []func()
	for _, f := range others(members, id) {
		unblock := members[f].store.block()
		t.Cleanup(unblock)
		release = append(release, unblock)
	}
	write := leader.Apply([]byte("x"), 30*time.Second)
	for _, f := range others(members, id) {
		eventually(t, "the follower hangs", func() bool { return members[f].store.blocked.Load() == 1 })
	}
	began := time.Now()
	for time.Since(began) < 4*time.Second {
		if leader.State() != raft.Leader || leader.CurrentTerm() != term {
			t.Fatalf("the leader stepped down after %v", time.Since(began))
		}
		<-time.After(20 * time.Millisecond)
	}
	for _, f := range release {
		f()
	}
	if err := write.Error(); err != nil {
		t.Fatalf("the write that waited for the disks: %v", err)
	}
	for range 50 {
		if err := leader.Apply([]byte("y"), time.Minute).Error(); err != nil {
			t.Fatal(err)
		}
	}
	if got := leader.CurrentTerm(); got != term {
		t.Fatalf("there was an election: term %d became %d", term, got)
	}
	for _, f := range others(members, id) {
		if members[f].g.GuardedHeartbeats() == 0 {
			t.Fatalf("the guard of %s answered nothing", f)
		}
	}
	if installed.Load() != 3 || called.Load() != 0 {
		t.Fatalf("heartbeat handler installed %d times, called %d times", installed.Load(), called.Load())
	}
}

// fixedState stands for a Raft instance whose main loop hangs.
type fixedState struct {
	term  uint64
	state raft.RaftState
}

func (f fixedState) CurrentTerm() uint64   { return f.term }
func (f fixedState) State() raft.RaftState { return f.state }

func TestGuardAnswersOnlyForFollowersOfTheTerm(t *testing.T) {
	c := newCluster(t, 1)
	g := c.start("n1").Group(1)
	beat := func(term uint64) (raft.RPC, *raft.AppendEntriesRequest, chan raft.RPCResponse) {
		req := &raft.AppendEntriesRequest{Term: term, Leader: []byte("n2")}
		resp := make(chan raft.RPCResponse, 1)
		return raft.RPC{Command: req, RespChan: resp}, req, resp
	}
	g.Attach(fixedState{term: 5, state: raft.Follower})
	rpc, req, resp := beat(5)
	r, err := g.guard(rpc, req, resp, never)
	ack, ok := r.Response.(*raft.AppendEntriesResponse)
	if err != nil || !ok || !ack.Success || ack.Term != 5 {
		t.Fatalf("%+v, %v", r, err)
	}
	for _, tc := range []struct {
		name  string
		state RaftState
		term  uint64
	}{
		{"older term", fixedState{6, raft.Follower}, 5},
		{"newer term", fixedState{4, raft.Follower}, 5},
		{"candidate", fixedState{5, raft.Candidate}, 5},
		{"leader", fixedState{5, raft.Leader}, 5},
		{"shut down", fixedState{5, raft.Shutdown}, 5},
	} {
		g.Attach(tc.state)
		rpc, req, resp := beat(tc.term)
		answered := make(chan raft.RPCResponse, 1)
		go func() {
			r, _ := g.guard(rpc, req, resp, never)
			answered <- r
		}()
		select {
		case <-answered:
			t.Errorf("%s: the guard answered", tc.name)
		case <-time.After(4 * guardDelay):
		}
		// The main loop comes back and answers itself.
		taken := <-g.Consumer()
		taken.Respond(&raft.AppendEntriesResponse{Term: 99}, nil)
		if r := <-answered; r.Response.(*raft.AppendEntriesResponse).Term != 99 {
			t.Errorf("%s: %+v", tc.name, r)
		}
	}
}

// Requests of one stream reach the main loop in order, and none of them waits
// behind a heartbeat that is stuck on another stream.
func TestOtherRequestsKeepTheirOrderBesideAStuckHeartbeat(t *testing.T) {
	c := newCluster(t, 2)
	c.startAll()
	from, to := c.nodes["n1"].Group(1), c.nodes["n2"].Group(1)
	from.Attach(fixedState{1, raft.Leader})

	stuck := make(chan error, 1)
	go func() {
		var resp raft.AppendEntriesResponse
		stuck <- from.AppendEntries("n2", "n2", &raft.AppendEntriesRequest{Term: 1, Leader: []byte("n1")}, &resp)
	}()
	// The main loop took the heartbeat and does not come to an answer.
	beat := <-to.Consumer()

	pipe, err := from.AppendEntriesPipeline("n2", "n2")
	if err != nil {
		t.Fatal(err)
	}
	defer pipe.Close()
	const n = 300
	go func() {
		for i := range n {
			req := &raft.AppendEntriesRequest{Term: 1, PrevLogEntry: uint64(i + 1), PrevLogTerm: 1, LeaderCommitIndex: 1}
			if _, err := pipe.AppendEntries(req, new(raft.AppendEntriesResponse)); err != nil {
				t.Error(err)
				return
			}
		}
	}()
	go func() {
		for i := range n {
			rpc := <-to.Consumer()
			if got := rpc.Command.(*raft.AppendEntriesRequest).PrevLogEntry; got != uint64(i+1) {
				t.Errorf("request %d came as number %d", got, i+1)
			}
			rpc.Respond(&raft.AppendEntriesResponse{Term: 1, LastLog: uint64(i + 1), Success: true}, nil)
		}
	}()
	for i := range n {
		f := <-pipe.Consumer()
		if err := f.Error(); err != nil || f.Response().LastLog != uint64(i+1) || f.Request().PrevLogEntry != uint64(i+1) {
			t.Fatalf("answer %d: %+v, %v", i+1, f.Response(), err)
		}
	}
	select {
	case err := <-stuck:
		t.Fatalf("the heartbeat ended: %v", err)
	default:
	}
	beat.Respond(&raft.AppendEntriesResponse{Term: 1, Success: true}, nil)
	if err := <-stuck; err != nil {
		t.Fatal(err)
	}
}

func TestRemoteRaftErrorsKeepTheStream(t *testing.T) {
	c := newCluster(t, 2)
	c.startAll()
	from, to := c.nodes["n1"].Group(1), c.nodes["n2"].Group(1)
	go func() {
		for i := range 3 {
			rpc := <-to.Consumer()
			rpc.Respond(nil, fmt.Errorf("no %d", i))
		}
	}()
	for i := range 3 {
		err := from.RequestVote("n2", "n2", &raft.RequestVoteRequest{Term: 1}, new(raft.RequestVoteResponse))
		if err == nil || err.Error() != fmt.Sprintf("no %d", i) {
			t.Fatalf("error %d came as %v", i, err)
		}
	}
	from.pool.mu.Lock()
	defer from.pool.mu.Unlock()
	if n := len(from.pool.idle["n2"]); n != 1 {
		t.Fatalf("%d idle streams", n)
	}
}

func TestUnknownGroupIsRefusedByName(t *testing.T) {
	c := newCluster(t, 2)
	c.startAll()
	err := c.nodes["n1"].Group(9).RequestVote("n2", "n2", new(raft.RequestVoteRequest), new(raft.RequestVoteResponse))
	if !errors.Is(err, ErrUnknownGroup) {
		t.Fatalf("%v", err)
	}
}
