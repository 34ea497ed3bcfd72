package shard

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/lockstepkv/lockstep/fsm"
	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/resp"
)

// largeBatch stores a value that goes in fragments.
func largeBatch(key string) command.Batch {
	var b command.Batch
	b.Add(command.Args{[]byte("SET"), []byte(key), make([]byte, 3<<20)})
	return b
}

// holdLarge makes the leader behave as if a large entry were on its way, until release.
func (c *cluster) holdLarge() (release func()) {
	p := c.group(c.leader()).packer
	p.large <- struct{}{}
	return func() {
		<-p.large
		p.nudge()
	}
}

// waitingLarge is how many large batches wait at the leader, or on node.
func (c *cluster) waitingLarge(node string) int {
	p, o := c.group(c.leader()).packer, c.group(node).origin
	p.mu.Lock()
	defer p.mu.Unlock()
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(p.bulk) + len(o.large.pending)
}

// TestLargeValuesDoNotHoldUpOthers: while one is on its way others wait for it, and small
// requests, of the same node or another one, do not.
func TestLargeValuesDoNotHoldUpOthers(t *testing.T) {
	c := newCluster(t, 3, patient)
	leader := c.leader()
	for _, id := range []string{leader, c.others(leader)[0]} {
		release := c.holdLarge()
		answers := make(chan error, 3)
		for i := range cap(answers) {
			go func() {
				_, err := c.group(id).Propose(t.Context(), largeBatch(fmt.Sprint("big", i)))
				answers <- err
			}()
		}
		c.eventually(func() error {
			if n := c.waitingLarge(id); n != cap(answers) {
				return fmt.Errorf("%d large batches wait", n)
			}
			return nil
		})
		for _, at := range c.ids {
			for i := range 20 {
				c.want(at, fmt.Sprintf("SET small %d", i), "+OK\r\n")
			}
		}
		if n := len(answers); n > 0 {
			t.Errorf("%d large values were answered", n)
		}
		release()
		for range cap(answers) {
			if err := <-answers; err != nil {
				t.Error(err)
			}
		}
	}
	c.agree()
}

// TestLargeValueIsAppliedOrNot: one whose time is up before the leader has logged all of it
// is taken back, and its caller told so for certain.
func TestLargeValueIsAppliedOrNot(t *testing.T) {
	c := newCluster(t, 3, patient)
	leader := c.leader()
	for i, id := range []string{leader, c.others(leader)[0]} {
		key := fmt.Sprint("big", i)
		release := c.holdLarge()
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		_, err := c.group(id).Propose(ctx, largeBatch(key))
		cancel()
		if !errors.Is(err, command.ErrUnavailable) || errors.Is(err, command.ErrInDoubt) {
			t.Errorf("through %s: %v, want a definite error", id, err)
		}
		release()
		c.want(id, "SET after x", "+OK\r\n")
		if _, err := c.group(id).Propose(t.Context(), largeBatch(key+"next")); err != nil {
			t.Error(err)
		}
		c.want(id, "EXISTS "+key+" "+key+"next", ":1\r\n")
		c.eventually(func() error {
			o := c.group(id).origin
			o.mu.Lock()
			defer o.mu.Unlock()
			if o.bytes != 0 || len(o.large.flights)+len(o.large.pending) != 0 {
				return fmt.Errorf("left over: %d bytes, %d batches", o.bytes, len(o.large.flights))
			}
			return nil
		})
	}
}

// TestWithdrawnInTheMidst: a leader stops between two fragments.
func TestWithdrawnInTheMidst(t *testing.T) {
	c := newCluster(t, 1, nil)
	g := c.group("n1")
	b := largeBatch("big")
	f := &flight{batch: fsm.Batch{Node: "n2", Boot: 1, Seq: 1, Units: 1, Parts: b.Parts, Body: b.Body}}
	pk := &pack{g: g, entry: fsm.Entry{Batches: []fsm.Batch{f.batch}}, flights: []*flight{f}}
	cut := fsm.Cut(&pk.entry, 1)
	if err := g.raft.Apply(cut.Next(), enqueueTimeout).Error(); err != nil {
		t.Fatal(err)
	}
	f.withdrawn.Store(true)
	if _, err := g.packer.log(pk, cut); !errors.Is(err, errNotServing) {
		t.Errorf("%v, want that it was not logged", err)
	}
	c.want("n1", "EXISTS big", ":0\r\n")
}

type futures []error

func (f futures) all() (out []raft.ApplyFuture) {
	for _, err := range f {
		out = append(out, fakeFuture{err})
	}
	return out
}

type fakeFuture struct{ err error }

func (f fakeFuture) Error() error { return f.err }
func (fakeFuture) Index() uint64  { return 0 }
func (fakeFuture) Response() any  { return nil }

// TestFragmentThatWasNotLogged: an entry that lacks a fragment is never applied, whatever
// became of the others.
func TestFragmentThatWasNotLogged(t *testing.T) {
	p := &packer{g: &Group{raftDown: make(chan struct{})}}
	for _, c := range []struct {
		fragments futures
		want      error
	}{
		{futures{nil, nil, nil}, nil},
		{futures{nil, raft.ErrLeadershipLost}, errDoubt},
		{futures{raft.ErrLeadershipLost, raft.ErrLeadershipLost, raft.ErrNotLeader}, errNotServing},
		{futures{raft.ErrEnqueueTimeout, nil}, errNotServing},
		{futures{raft.ErrRaftShutdown, nil}, errDoubt},
	} {
		if err := p.outcome(c.fragments.all()); !errors.Is(err, c.want) {
			t.Errorf("%v: %v, want %v", c.fragments, err, c.want)
		}
	}
}

// TestRepliesGoThoughALargeBatchIsOut: what a node has got its answers for is not remembered
// until its large batch is answered too.
func TestRepliesGoThoughALargeBatchIsOut(t *testing.T) {
	o := testOrigin()
	kicked := make(chan struct{}, 10)
	o.kick = func() { kicked <- struct{}{} }
	answers := make(chan error, 2)
	propose := func(b command.Batch) {
		go func() {
			_, err := o.propose(t.Context(), b)
			answers <- err
		}()
		<-kicked
	}
	o.maxBytes = 10 << 20
	propose(largeBatch("big"))
	big := o.takeLarge()
	for seq := uint64(1); seq <= 3; seq++ {
		propose(appendBatch("x"))
		f := o.take(1000)
		if f.batch.Node == big.batch.Node || f.batch.Seq != seq || f.batch.Acked != seq-1 {
			t.Fatalf("batch %d of %q, resolved up to %d", f.batch.Seq, f.batch.Node, f.batch.Acked)
		}
		o.resolve(f, fsm.BatchResult{Replies: []resp.Value{resp.One}})
		<-answers
	}
	o.resolve(big, fsm.BatchResult{Replies: []resp.Value{resp.OK}})
	<-answers
}

// TestNoLeaderForALargeValue: it has more time than others, but not to wait for a leader.
func TestNoLeaderForALargeValue(t *testing.T) {
	o := testOrigin()
	o.maxBytes = 10 << 20
	o.led = func() bool { return false }
	b := largeBatch("big")
	b.Patience = 10 * time.Millisecond
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if _, err := o.propose(ctx, b); !errors.Is(err, command.ErrUnavailable) || ctx.Err() != nil {
		t.Errorf("%v, %v", err, ctx.Err())
	}
}

// TestWithdrawnInDoubt: a batch that was withdrawn too late is sent again until it is answered.
func TestWithdrawnInDoubt(t *testing.T) {
	o := testOrigin()
	o.maxBytes = 10 << 20
	kicked := make(chan struct{}, 10)
	o.kick = func() { kicked <- struct{}{} }
	ctx, cancel := context.WithCancel(t.Context())
	answer := make(chan error, 1)
	go func() {
		_, err := o.propose(ctx, largeBatch("big"))
		answer <- err
	}()
	<-kicked
	f := o.takeLarge()
	cancel()
	for !f.withdrawn.Load() {
		runtime.Gosched()
	}
	o.fail(f, true)
	if err := <-answer; !errors.Is(err, command.ErrInDoubt) {
		t.Errorf("%v", err)
	}
	if again := o.takeLarge(); again != f || again.withdrawn.Load() {
		t.Error("the leader would not log it, and nobody would ever know")
	}
}

// TestLargeReplyIsNotKept until the next large batch of the node.
func TestLargeReplyIsNotKept(t *testing.T) {
	c := newCluster(t, 3, patient)
	leader := c.leader()
	for _, id := range []string{leader, c.others(leader)[0]} {
		key := "big" + id
		if _, err := c.group(id).Propose(t.Context(), largeBatch(key)); err != nil {
			t.Fatal(err)
		}
		var b command.Batch
		b.Add(command.Args{[]byte("SET"), []byte(key), make([]byte, 2<<20), []byte("GET")})
		if replies, err := c.group(id).Propose(t.Context(), b); err != nil || len(replies[0].Str) != 3<<20 {
			t.Fatalf("%v", err)
		}
		c.eventually(func() error {
			for _, at := range c.ids {
				if n := c.group(at).fsm.ReplyBytes(); n > 1<<20 {
					return fmt.Errorf("%s keeps %d bytes of replies", at, n)
				}
			}
			return nil
		})
	}
}

// TestPatienceIsForOneSpell: a leader that comes and goes is not the lack of one.
func TestPatienceIsForOneSpell(t *testing.T) {
	o := testOrigin()
	o.maxBytes = 10 << 20
	looks := make(chan bool)
	o.led = func() bool { return <-looks }
	b := largeBatch("big")
	b.Patience = leaderLooks * time.Millisecond
	answer := make(chan error, 1)
	go func() {
		_, err := o.propose(t.Context(), b)
		answer <- err
	}()
	for i := range 4 * leaderLooks {
		select {
		case looks <- i%leaderLooks == leaderLooks-1:
		case err := <-answer:
			t.Fatalf("given up after %d looks: %v", i, err)
		}
	}
	for {
		select {
		case looks <- false:
			continue
		case err := <-answer:
			if !errors.Is(err, command.ErrUnavailable) {
				t.Error(err)
			}
		}
		return
	}
}
