package shard

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/lockstepkv/lockstep/fsm"
	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/fsm/lock"
	"github.com/lockstepkv/lockstep/fsm/wait"
	"github.com/lockstepkv/lockstep/resp"
	"github.com/lockstepkv/lockstep/shard/forward"
	"github.com/lockstepkv/lockstep/shard/quarantine"
	"github.com/lockstepkv/lockstep/shard/session"
)

// Remote is a shard of which this node has no replica. It owns the requests of its clients
// as every node does: writes are batches of a session of its own, handed to the leader, and so
// happen once, whatever becomes of that leader. Reads are answered by a node that has a replica.
type Remote struct {
	id   uint32
	node *Node
	boot uint64

	session  *session.Session
	sender   *session.Sender
	finder   *forward.Finder
	reader   *forward.Reader
	follower *forward.Follower

	refused func()
	stop    context.CancelFunc
	wg      sync.WaitGroup
}

// openRemote begins to serve shard id from afar.
func openRemote(n *Node, id uint32) *Remote {
	label := strconv.FormatUint(uint64(id), 10)
	r := &Remote{id: id, node: n, boot: n.opt.Boot}
	r.refused = n.metrics.disk.refused.WithLabelValues(label).Inc
	for _, o := range []forward.Outcome{forward.Answered, forward.Refused, forward.Failed} {
		n.metrics.forwarded.WithLabelValues(label, string(o))
	}
	r.finder = forward.NewFinder(holders{n, id}, func() { r.sender.Kick() })
	r.reader = forward.NewReader(remoteNodes{r}, max(n.opt.ElectionTimeout/2, 50*time.Millisecond), func(o forward.Outcome) {
		n.metrics.forwarded.WithLabelValues(label, string(o)).Inc()
	})
	r.follower = forward.NewFollower(remoteNodes{r})
	r.session = session.New(session.Options{
		Node: n.opt.NodeID, Boot: r.boot, MaxBytes: n.opt.MaxWaitingBytes, Queued: n.metrics.queueSeconds.WithLabelValues(label),
		Kick: func() { r.sender.Kick() }, Led: func() bool { return r.finder.Leader() != "" }, Outlived: r.outlived,
	})
	r.sender = session.NewSender(n.opt.NodeID, r.session, remoteRoute{r})
	life, stop := context.WithCancel(context.Background())
	r.stop = stop
	for _, loop := range []func(context.Context){r.finder.Run, r.sender.Run, r.follower.Run, r.dropFormerWaiters} {
		r.wg.Go(func() { loop(life) })
	}
	return r
}

// close ends it: what waits is told.
func (r *Remote) close() {
	r.session.Close()
	r.stop()
	r.wg.Wait()
}

// ID returns the shard's number.
func (r *Remote) ID() int { return int(r.id) }

// Leader returns the node that leads the shard as far as this one knows, or "".
func (r *Remote) Leader() string { return r.finder.Leader() }

// Term returns the newest term in which a leader was known here.
func (r *Remote) Term() uint64 { return r.finder.Term() }

// Origin names this life of this node in the shard, which those who wait carry.
func (r *Remote) Origin() (node string, boot uint64) { return r.node.opt.NodeID, r.boot }

// Propose is Group.Propose.
func (r *Remote) Propose(ctx context.Context, b command.Batch) ([]resp.Value, error) {
	if r.room() == noneLeft && !r.node.opt.Table.FreesAll(b.Parts, b.Body) {
		return nil, session.ErrFull
	}
	return r.session.Propose(ctx, b)
}

// Read has q answered by a node with a replica. Its errors are definite.
func (r *Remote) Read(ctx context.Context, opt command.ReadOptions, q command.Sent) (command.ReadInfo, error) {
	return r.reader.Read(ctx, opt, q)
}

// Watch follows what happens at a topic, as a node with a replica tells of it. The channel is
// closed when events were missed.
func (r *Remote) Watch(topic wait.Topic) (events <-chan wait.Event, stop func()) {
	return r.follower.Watch(topic)
}

// room is what the leader has told of the room on disks.
func (r *Remote) room() roomLevel {
	if !r.node.disk.scarce.Load() {
		return roomy
	}
	n, leader := r.node, r.Leader()
	n.mu.RLock()
	defer n.mu.RUnlock()
	if groups := n.peers[leader].Groups; int(r.id) < len(groups) {
		return groups[r.id].Room
	}
	return roomy
}

// NoRoom is Group.NoRoom.
func (r *Remote) NoRoom() (growth, rest error) { return refusedAt(r.room()) }

// CountNoRoom counts a write that was refused for want of room.
func (r *Remote) CountNoRoom() { r.refused() }

// dropFormerWaiters takes clients of this node's former lives out of the queues: nobody else can
// tell that they are gone, if the node was back soon.
func (r *Remote) dropFormerWaiters(ctx context.Context) {
	var b command.Batch
	b.Add(command.Args{[]byte("LS.LOCKDROP"), []byte(r.node.opt.NodeID), strconv.AppendUint(nil, r.boot-1, 10)})
	for ctx.Err() == nil && r.boot > 1 {
		if _, err := r.session.Propose(ctx, b); err == nil {
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(absentAfter):
		}
	}
}

// outlived is what Group.outlived is, for a node that has to ask which start the shard knows.
func (r *Remote) outlived() {
	n := r.node
	n.wg.Go(func() {
		var err error
		for _, peer := range r.finder.Order() {
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			reply, failed := n.net.Call(ctx, peer, methodAdmission, appendGroup(nil, r.id))
			cancel()
			var s quarantine.Admission
			if failed != nil || json.Unmarshal(reply, &s) != nil || !plausibleBoot(s.Boot, n.opt.Clock.WallMillis()) || s.Boot < r.boot {
				continue
			}
			err = n.meta.RaiseBoot(s.Boot, time.UnixMilli(n.opt.Clock.WallMillis()))
			break
		}
		n.opt.Fatal(errors.Join(fmt.Errorf("shard %d knows a later start of node %s: another process has its id, or its data is an older copy; the next start takes a higher number", r.id, n.opt.NodeID), err))
	})
}

// granted takes what pushGrant sent. Whoever has sent it has applied the grant and serves, so it may be
// passed on.
func (r *Remote) granted(msg []byte) error {
	_, grant, err := decodeGrant(msg)
	if err == nil {
		r.follower.Tell(wait.Event{Topic: lock.Outcome(grant.Token), What: grant})
	}
	return err
}

// holders is what a finder asks about.
type holders struct {
	n  *Node
	id uint32
}

// Holders implements forward.Cluster.
func (h holders) Holders() (list []string) {
	for _, node := range h.n.view.Get().HoldersOf(int(h.id)) {
		if node != h.n.opt.NodeID {
			list = append(list, node)
		}
	}
	return list
}

// Changed implements forward.Cluster.
func (h holders) Changed() <-chan struct{} {
	_, next := h.n.view.Changed()
	return next
}

// Connected implements forward.Cluster.
func (h holders) Connected(node string) bool { return h.n.net.Health(node).Connected }

// Ask implements forward.Cluster.
func (h holders) Ask(ctx context.Context, node string) (forward.Standing, error) {
	reply, err := h.n.net.Call(ctx, node, methodStanding, appendGroup(nil, h.id))
	if err != nil {
		return forward.Standing{}, err
	}
	return decodeStanding(reply)
}

// remoteRoute is how the batches of a shard elsewhere come to its leader.
type remoteRoute struct{ r *Remote }

// Leader implements session.Route.
func (t remoteRoute) Leader() string { return t.r.finder.Leader() }

// Local implements session.Route: this node never leads.
func (t remoteRoute) Local() (served bool) { return true }

// Submit implements session.Route. A node that does not serve is not asked again before the leader was
// looked for anew.
func (t remoteRoute) Submit(ctx context.Context, leader string, b *fsm.Batch) (fsm.BatchResult, error) {
	result, err := submit(ctx, t.r.node.net, t.r.id, leader, b)
	if err != nil && ctx.Err() == nil && !errors.Is(err, command.ErrNoRoom) {
		t.r.finder.Denied(leader)
	}
	return result, err
}
