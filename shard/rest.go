package shard

import (
	"fmt"
	"slices"
	"time"

	"github.com/lockstepkv/lockstep/fsm"
	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/resp"
)

// A batch in doubt for which disks have no room can be neither logged nor given up. It rests:
// it is not sent again before there is room as far as this node has been told, and then after
// a pause that grows. Batches with higher numbers pass it, as sessions allow. Until it is
// resolved every replica remembers their replies, and so there is a bound on these.
const (
	restLeast = 100 * time.Millisecond // the first pause
	restMost  = 5 * time.Second        // the longest
	// restUnseen is how long it rests while there seems to be no room: what this node was
	// told may be wrong.
	restUnseen = time.Minute
	// passedBytes bounds the replies to those that have passed.
	passedBytes = command.MaxReplyBytes / 4
)

var errPassed = fmt.Errorf("%w: a write in doubt waits for room, and as many as may have passed it", command.ErrNoRoom)

// disks is what an origin asks about room.
type disks interface {
	// fits reports whether the shard's leader has room for b, as far as this node was told.
	fits(b *fsm.Batch) bool
	// restsNow is told of a batch that rests for the first time. first: no other one does.
	restsNow(b *fsm.Batch, first bool)
}

// restLocked has f, which was refused for want of room while in doubt, not sent for a while.
func (o *origin) restLocked(f *flight) {
	if f.refused == 0 && o.disks != nil {
		b, first := f.batch, !f.lane.behind()
		defer func() { go o.disks.restsNow(&b, first) }() // not under the lock
	}
	f.resting = true
	pause := min(restLeast<<min(f.refused, 10), restMost)
	f.refused++
	until := time.Now().Add(restUnseen)
	time.AfterFunc(pause, func() { o.wakeRested(f, until) })
}

// wakeRested lets f be sent again if there is room, or until has come.
func (o *origin) wakeRested(f *flight, until time.Time) {
	o.mu.Lock()
	there := slices.Contains(f.lane.flights, f)
	o.mu.Unlock()
	if !there {
		return
	}
	if o.disks != nil && time.Now().Before(until) && !o.disks.fits(&f.batch) {
		time.AfterFunc(roomEvery, func() { o.wakeRested(f, until) })
		return
	}
	o.mu.Lock()
	f.resting = false
	o.mu.Unlock()
	o.kick()
}

// behind reports whether batches have come to pass one that has rested.
func (l *lane) behind() bool {
	return slices.ContainsFunc(l.flights, func(f *flight) bool { return f.refused > 0 })
}

// full reports whether no more may pass.
func (l *lane) full() bool { return l.passed > passedBytes }

// passLocked counts the replies to a batch that is resolved.
func (l *lane) passLocked(replies []resp.Value) {
	if !l.behind() {
		l.passed = 0
		return
	}
	l.passed += replyBytes(replies)
}

func replyBytes(replies []resp.Value) (n int) {
	for _, v := range replies {
		n += command.ReplyCost(v)
	}
	return n
}

// resting is how many batches have rested and are not resolved.
func (o *origin) resting() (n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, f := range slices.Concat(o.small.flights, o.large.flights) {
		if f.refused > 0 {
			n++
		}
	}
	return n
}

// fits implements disks.
func (g *Group) fits(b *fsm.Batch) bool {
	part := int64(keepsAny)
	switch {
	case g.opt.Table.FreesAll(b.Parts, b.Body):
		part = keepsFrees
	case g.room() == noneLeft:
		return false
	}
	leader := g.Leader()
	return leader == "" || g.spare(leader, part) >= int64(b.UnitBytes()) // else it waits for a leader
}

// restsNow implements disks.
func (g *Group) restsNow(b *fsm.Batch, first bool) {
	for range b.Units {
		g.metrics.refused()
	}
	if first {
		g.logger.Error("a write in doubt waits until there is room on disks; others pass it",
			"batch", b.Seq, "bytes", b.UnitBytes(), "commands", b.Units)
	}
}
