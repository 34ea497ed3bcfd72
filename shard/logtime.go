package shard

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/hashicorp/raft"

	"github.com/lockstepkv/lockstep/fsm"
	"github.com/lockstepkv/lockstep/internal/clock"
	"github.com/lockstepkv/lockstep/shard/logclock"
	"github.com/lockstepkv/lockstep/shard/session"
	"github.com/lockstepkv/lockstep/transport"
)

// clocksEvery is how often clocks are compared.
const clocksEvery = 250 * time.Millisecond

// stamp returns the stamp that an entry logged now would get, on the leader. Who
// waits for a time has an entry logged only when this has reached it: by another
// clock he would ask again and again.
func (g *Group) stamp() fsm.Stamp { return g.stampAt(g.clock.Mono()) }

// stampAt is stamp at a reading of the node's monotonic clock.
func (g *Group) stampAt(mono time.Duration) fsm.Stamp {
	s := fsm.Stamp(g.logClock.Now(mono))
	return s
}

// startLogClock lets the log's time go on from the newest entry, whoever stamped
// it. What passed before this process applied something is not known and does
// not count.
func (g *Group) startLogClock() {
	mono, since := g.clock.Mono(), time.Duration(0)
	if at := g.appliedAt.Load(); at != 0 {
		since = mono - time.Duration(at)
	}
	g.logClock.Start(mono, logclock.Stamp(g.fsm.Stamp()), since)
	g.logClock.Resume(g.clock.Mono(), g.node.agreement())
}

func (g *Group) adjustLogClock(a logclock.Agreement) {
	if stepped := g.logClock.Adjust(g.clock.Mono(), a); stepped > 0 {
		g.logger.Warn("the clock of the log steps forward to what a quorum's clocks say", "by", stepped)
	}
}

// awaitClocks waits until a quorum's clocks agree, or those of all nodes that are
// connected are known, which takes a moment after they came up: a leader that begins without them
// would have to set the log's clock while clients count on it.
func (n *Node) awaitClocks(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 2*clocksEvery)
	defer cancel()
	for n.clockMissing() && !n.agreement().Known && ctx.Err() == nil {
		clock.Pause(ctx, session.RetryPause)
	}
}

func (n *Node) clockMissing() bool {
	for _, m := range n.view.Get().Peers() {
		if h := n.net.Health(m.ID); h.Connected && n.vague(h) {
			return true
		}
	}
	return false
}

// agreement compares the clocks of the voters that are known now.
func (n *Node) agreement() logclock.Agreement {
	own, at := n.ownClock()
	var others []logclock.Reading
	for _, m := range n.view.Get().Peers() {
		if m.ID == n.opt.NodeID {
			continue
		}
		h := n.net.Health(m.ID)
		if h.Connected && h.ClockKnown {
			others = append(others, reading(m.ID, h, at))
		}
		if h.Connected && !n.vague(h) {
			n.metrics.clockOffset.WithLabelValues(m.ID).Set(h.ClockOffset.Seconds())
		} else {
			n.metrics.clockOffset.DeleteLabelValues(m.ID) // what it was once says nothing
		}
	}
	a := logclock.Agree(own, others, len(n.view.Get().Peers()), n.opt.MaxClockOffset)
	n.metrics.clockOffPeers.Set(float64(len(a.Outside)))
	return a
}

// ownClock reads this node's clock, and the monotonic one at that moment. Between the two
// this process may stand still.
func (n *Node) ownClock() (own logclock.Reading, at time.Duration) {
	before := n.opt.Clock.Mono()
	own = logclock.Reading{Node: n.opt.NodeID, Wall: n.opt.Clock.WallMillis()}
	took := n.opt.Clock.Mono() - before
	own.Error = took / 2
	return own, before + took/2
}

// reading is what a peer's clock was at a reading of this node's monotonic one.
func reading(peer string, h transport.Health, at time.Duration) logclock.Reading {
	return logclock.Reading{Node: peer, Wall: h.WallMillis - (h.ClockAt - at).Milliseconds(), Error: h.ClockError}
}

// vague reports whether what is known of a peer's clock is too little to judge it.
func (n *Node) vague(h transport.Health) bool {
	return !h.ClockKnown || logclock.Reading{Error: h.ClockError}.Vague(n.opt.MaxClockOffset)
}

// offFor is for how long a clock must be off before its node gives leadership away.
// The comparison rests on probes of the last two seconds: when all clocks are set at
// once, each node at first sees the others behind, and leadership would go round.
// There is no hurry, for the log does not follow one clock.
const offFor = 3 * time.Second

// clockOff reports whether this node's clock has differed from those of a quorum for a
// while. With two nodes, or with one of three down, nobody can tell whose clock is
// wrong.
func (n *Node) clockOff() bool {
	since := n.offSince.Load()
	return since != 0 && n.opt.Clock.Mono()-time.Duration(since) >= offFor
}

// noteOff remembers since when this node's clock has been off. One that is known to be off
// does not become right by readings that say nothing.
func (n *Node) noteOff(a logclock.Agreement) {
	switch {
	case n.off(a):
		n.offSince.CompareAndSwap(0, int64(max(n.opt.Clock.Mono(), 1)))
	case a.Vague && !a.Member && n.clockOff():
	default:
		n.offSince.Store(0)
	}
}

func (n *Node) off(a logclock.Agreement) bool {
	return n.opt.MaxClockOffset > 0 && a.Off
}

// watchClocks keeps the log's time near that of a quorum, tells when clocks differ,
// and hands leadership over while this node's clock is off from a quorum's.
func (n *Node) watchClocks(ctx context.Context) {
	told := ""
	clock.Every(ctx, clocksEvery, func() {
		a := n.agreement()
		told = n.tellClocks(a, told)
		n.noteOff(a)
		for _, g := range n.Groups() {
			if g.Serving() {
				g.adjustLogClock(a)
			}
			if n.clockOff() && g.raft.State() == raft.Leader {
				n.handOver(ctx, g)
			}
		}
	})
}

// tellClocks says in the log when something has changed about whose clocks differ.
func (n *Node) tellClocks(a logclock.Agreement, told string) string {
	reference := a.Wall
	if !a.Known {
		reference = n.opt.Clock.WallMillis()
	}
	var names, list []string
	for _, r := range a.Outside {
		names = append(names, r.Node)
		list = append(list, fmt.Sprintf("%s by %v", r.Node, time.Duration(r.Wall-reference)*time.Millisecond))
	}
	state := fmt.Sprint(a.Known, n.off(a), names)
	if len(names) == 0 {
		if a.Vague {
			return told // whose clock differed may be the one that is not known now
		}
		state = ""
	}
	if state == told {
		return told
	}
	log, differ := n.opt.Logger, strings.Join(list, ", ")
	switch {
	case len(names) == 0:
		log.Info("the clocks of the nodes agree again")
	case n.off(a):
		log.Error("this node's clock differs from those of a quorum, it will not lead", "off", differ)
	case a.Known:
		log.Warn("clocks differ from those of a quorum", "off", differ)
	default:
		log.Warn("clocks differ and no quorum can tell which is right; the log goes on by its leader's monotonic clock",
			"off_from_this_node", differ)
	}
	return state
}
