package waiting

import (
	"context"
	"time"

	"github.com/lockstepkv/lockstep/api/request"
	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/fsm/wait"
	"github.com/lockstepkv/lockstep/resp"
)

const (
	// waitGrace is how long after the end of a wait the log's word for it is
	// waited for before the request is taken back.
	waitGrace = 100 * time.Millisecond
	// gonePoll is how often a waiting client is checked to be still there.
	gonePoll = 250 * time.Millisecond
	// takeBackPause is how long a shard without a leader is left alone.
	takeBackPause = 250 * time.Millisecond
)

// blocked is a client that waits, or is about to.
type blocked struct {
	c      *Clients
	client Client
	shard  Shard
	until  time.Time // the end of the wait

	topic  wait.Topic        // where the outcome is told
	events <-chan wait.Event // of topic; nil: some may have been missed
	stop   func()            // ends the watch of topic
	unsure bool              // how things stand could not be found out
}

// place is what a command has asked for, and where it stands.
type place interface {
	// heard takes what was told of the outcome, and reports whether the wait is over.
	heard(ctx context.Context, e wait.Event) (over bool)
	// look finds out how things stand when events may have been missed. It is not sure
	// if the shard does not answer.
	look(ctx context.Context) (over, sure bool)
}

// end is why a wait is over.
type end int

const (
	decided  end = iota // by the log
	timeIsUp            // and the log has said nothing
	clientGone
	nodeStops
)

// watch listens at the topic where the outcome is told, instead of any from before.
func (b *blocked) watch(topic wait.Topic) {
	b.unwatch()
	b.topic = topic
	b.events, b.stop = b.shard.Watch(topic)
}

func (b *blocked) unwatch() {
	if b.stop != nil {
		b.stop()
	}
	b.events, b.stop = nil, nil
}

// wait waits until r is decided, the time is over or somebody goes.
func (b *blocked) wait(ctx context.Context, r place) end {
	over := time.NewTimer(time.Until(b.until) + waitGrace)
	defer over.Stop()
	poll := time.NewTicker(gonePoll)
	defer poll.Stop()
	for {
		select {
		case e, ok := <-b.events:
			if b.told(ctx, r, e, ok) {
				return decided
			}
		case <-over.C:
			return timeIsUp
		case <-poll.C:
			if b.client.Gone() {
				return clientGone
			}
			if b.unsure && b.lookAgain(ctx, r) {
				return decided
			}
		case <-b.c.cfg.Stopping:
			return nodeStops
		case <-ctx.Done():
			return clientGone
		}
	}
}

// told takes what the channel gave, and reports whether the wait is over.
func (b *blocked) told(ctx context.Context, r place, e wait.Event, ok bool) (over bool) {
	switch {
	case ok:
		return r.heard(ctx, e)
	case b.unsure: // it has looked in vain just now, and looks again soon
		b.events = nil
		return false
	}
	b.events = nil
	return b.lookAgain(ctx, r)
}

// lookAgain finds out how things stand. What comes meanwhile is listened for before.
func (b *blocked) lookAgain(ctx context.Context, r place) (over bool) {
	if b.events == nil {
		b.watch(b.topic)
	}
	over, sure := r.look(ctx)
	b.unsure = !sure
	return over
}

// propose runs one command; doubt tells that it may still take effect, which late
// is then told: see command.Batch.
func (b *blocked) propose(ctx context.Context, args command.Args, late func([]resp.Value, error)) (v resp.Value, doubt bool) {
	ctx, cancel := context.WithTimeout(ctx, b.c.cfg.RequestTimeout)
	defer cancel()
	var index uint64
	batch := command.Batch{Late: late, Index: &index}
	batch.AddOwned(b.client.Owner(), args)
	replies, err := b.shard.Propose(ctx, batch)
	b.client.Wrote(index)
	switch {
	case err != nil:
		v = b.c.cfg.Failed(ctx, b.client, b.shard, args, err)
		return v, request.OutcomeOf(v) == request.InDoubt
	case len(replies) != 1:
		return request.CodeInDoubt.Reply("the shard returned the wrong number of replies"), true
	}
	return replies[0], false
}

// takeBack has a command logged that undoes a request, for a client that will not hear of
// it. It goes on in the background until the shard has done so, this node stops, or
// patience is over. pending, unless nil, tells when the request itself has been logged
// (true) or never will be; before that there would be nothing to undo.
func (b *blocked) takeBack(args command.Args, patience time.Duration, pending <-chan bool) {
	b.c.background.Go(func() {
		if pending != nil {
			select {
			case logged := <-pending:
				if !logged {
					return
				}
			case <-b.c.cfg.Stopping:
				return
			}
		}
		b.proposeUntilTaken(args, patience)
	})
}

func (b *blocked) proposeUntilTaken(args command.Args, patience time.Duration) {
	over := time.NewTimer(patience)
	defer over.Stop()
	for {
		// In doubt means that it will be logged, for the node sends it again.
		v, doubt := b.propose(context.Background(), args, nil)
		if doubt || !v.IsError() {
			return
		}
		select {
		case <-time.After(takeBackPause):
		case <-over.C:
			return
		case <-b.c.cfg.Stopping:
			return
		}
	}
}
