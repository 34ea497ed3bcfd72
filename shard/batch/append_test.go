package batch

import (
	"errors"
	"testing"

	"github.com/hashicorp/raft"

	"github.com/lockstepkv/lockstep/fsm"
	"github.com/lockstepkv/lockstep/shard/session"
)

type futures []error

func (f futures) all() (out []raft.ApplyFuture) {
	for _, err := range f {
		f := &future{err: err, done: make(chan struct{})}
		close(f.done)
		out = append(out, f)
	}
	return out
}

// TestFragmentThatWasNotLogged: an entry that lacks a fragment is never applied, whatever
// became of the others.
func TestFragmentThatWasNotLogged(t *testing.T) {
	p := New(Options{Log: &fakeLog{}})
	for _, c := range []struct {
		fragments futures
		want      error
	}{
		{futures{nil, nil, nil}, nil},
		{futures{nil, raft.ErrLeadershipLost}, session.ErrDoubt},
		{futures{raft.ErrLeadershipLost, raft.ErrLeadershipLost, raft.ErrNotLeader}, session.ErrNotServing},
		{futures{raft.ErrEnqueueTimeout, nil}, session.ErrNotServing},
		{futures{raft.ErrRaftShutdown, nil}, session.ErrDoubt},
	} {
		if err := p.outcome(c.fragments.all()); !errors.Is(err, c.want) {
			t.Errorf("%v: %v, want %v", c.fragments, err, c.want)
		}
	}
}

// TestLeaderLendsWhatIsOnItsWay: a batch of another node is lent while its entry is logged.
func TestLeaderLendsWhatIsOnItsWay(t *testing.T) {
	p := &Packer{}
	b := fsm.Batch{Node: fsm.LargeBatches("n2"), Boot: 2, Seq: 7, Units: 1, Body: []byte("units")}
	p.lent.Store(&b)
	if got := p.Lend(b.Node, 2, 7); len(got) != 1 || &got[0][0] != &b.Body[0] {
		t.Errorf("lent: %q", got)
	}
	for _, other := range []fsm.Batch{{Node: b.Node, Boot: 2, Seq: 8}, {Node: b.Node, Boot: 3, Seq: 7}, {Node: "n2", Boot: 2, Seq: 7}} {
		if got := p.Lend(other.Node, other.Boot, other.Seq); got != nil {
			t.Errorf("batch %d of %q is lent another's units", other.Seq, other.Node)
		}
	}
}
