package shard

import (
	"context"
	"encoding/binary"
	"io"
	"time"

	"github.com/lockstepkv/lockstep/fsm"
	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/internal/failpoint"
	"github.com/lockstepkv/lockstep/shard/readindex"
	"github.com/lockstepkv/lockstep/shard/session"
)

// Read runs fn on the shard's state. See command.ReadOptions for the terms. fn
// may run several times and must not keep entries.
func (g *Group) Read(ctx context.Context, opt command.ReadOptions, fn func(*command.Ctx)) (command.ReadInfo, error) {
	if opt.Consistency == command.Stale && g.fsm.Reached() >= opt.MinIndex {
		info, done, err := g.reader.Stale(opt, fn)
		if done {
			return info, err
		}
	}
	index, due, err := g.reader.View(ctx, fn)
	if err == nil && due {
		// The key's time is up by the leader's clock. Moving the log clock makes it
		// so for everybody, and for ever.
		if _, err = g.Propose(ctx, command.Batch{}); err == nil {
			index, _, err = g.reader.View(ctx, fn)
		}
	}
	return command.ReadInfo{Index: index}, err
}

// WriteBackup writes the shard's newest acknowledged keys as an RDB file. They are
// taken under the rule of reads, within the time of reading; to write them may take
// longer.
func (g *Group) WriteBackup(reading context.Context, w io.Writer) (index uint64, err error) {
	var b *fsm.Backup
	defer func() {
		if b != nil {
			b.Release()
		}
	}()
	err = g.reader.Take(reading, func(need uint64, _ fsm.Stamp) (ok bool) {
		if b != nil { // what was taken did not count
			b.Release()
		}
		g.failpoint("shard/backup/freeze")
		b, ok = g.fsm.FreezeBackup(need)
		return ok
	})
	if err != nil {
		return 0, err
	}
	return b.Write(w)
}

// failpoint is a place where tests can let something happen on this node.
func (g *Group) failpoint(place string) {
	if failpoint.Enabled {
		_ = failpoint.Inject(place + "/" + g.self)
	}
}

// newReader returns the reader of a replica that has its Raft.
func newReader(g *Group) *readindex.Reader {
	return readindex.New(readindex.Options{
		Self: g.self, Raft: g.raft, State: g.fsm, Log: g.log, Shard: readView{g}, Peers: asking{g},
		Lease: g.opt.LeaseDuration, Timeout: 2 * g.opt.ElectionTimeout, Round: g.metrics.round,
	})
}

// readView is what a reader asks of its replica.
type readView struct{ g *Group }

// Serving implements readindex.Shard.
func (r readView) Serving() (term uint64) { return r.g.serving.Load() }

// Sound implements readindex.Shard.
func (r readView) Sound() bool { return r.g.keeper.Sound() }

// Mono implements readindex.Shard.
func (r readView) Mono() time.Duration { return r.g.clock.Mono() }

// StampAt implements readindex.Shard.
func (r readView) StampAt(mono time.Duration) fsm.Stamp { return r.g.stampAt(mono) }

// Voters implements readindex.Shard.
func (r readView) Voters() (others []string, self bool) {
	v := r.g.voters.now()
	return v.others, v.self
}

// asking asks other nodes for what a reader wants to know.
type asking struct{ g *Group }

// Confirm implements readindex.Peers.
func (a asking) Confirm(ctx context.Context, peer string, term uint64) bool {
	req := binary.AppendUvarint(appendGroup(make([]byte, 0, 16), a.g.id), term)
	reply, err := a.g.net.Call(ctx, peer, methodConfirm, req)
	if err != nil {
		return false
	}
	answer, _, err := cutUvarint(reply)
	return err == nil && answer == term
}

// AskLeader implements readindex.Peers.
func (a asking) AskLeader(ctx context.Context) (readindex.Noted, error) {
	n, _, err := a.g.callReadIndex(ctx)
	return n, err
}

// answerConfirm is a voter's side of a round. A replica in quarantine has no
// vote and gives no answer.
func (g *Group) answerConfirm() (term uint64, ok bool) {
	return g.raft.CurrentTerm(), !g.guard.On()
}

// callReadIndex asks the leader, which is another node, for what it notes and for
// the end of its log.
func (g *Group) callReadIndex(ctx context.Context) (n readindex.Noted, last uint64, err error) {
	leader := g.Leader()
	if leader == "" || leader == g.self {
		return readindex.Noted{}, 0, session.ErrNotServing
	}
	reply, err := g.net.Call(ctx, leader, methodReadIndex, appendReads(appendGroup(nil, g.id), g.fsm.ReadLog()))
	if err != nil {
		return readindex.Noted{}, 0, err
	}
	if n, last, err = decodeNoted(reply); err == nil {
		g.told.Serves(n.Term)
	}
	return n, last, err
}
