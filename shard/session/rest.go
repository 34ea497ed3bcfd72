package session

import (
	"fmt"
	"slices"
	"time"

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
	// roomLook is how often it is looked whether there is room.
	roomLook = 500 * time.Millisecond
	// passedBytes bounds the replies to those that have passed.
	passedBytes = command.MaxReplyBytes / 4
)

var errPassed = fmt.Errorf("%w: a write in doubt waits for room, and as many as may have passed it", command.ErrNoRoom)

// restLocked has f, which was refused for want of room while in doubt, not sent for a while.
func (s *Session) restLocked(f *InFlight) {
	if f.refused == 0 && s.opt.Disks != nil {
		b, first := f.Batch, !f.lane.behind()
		defer func() { go s.opt.Disks.RestsNow(&b, first) }() // not under the lock
	}
	f.resting = true
	pause := min(restLeast<<min(f.refused, 10), restMost)
	f.refused++
	until := time.Now().Add(restUnseen)
	time.AfterFunc(pause, func() { s.wakeRested(f, until) })
}

// wakeRested lets f be sent again if there is room, or until has come.
func (s *Session) wakeRested(f *InFlight, until time.Time) {
	s.mu.Lock()
	there := slices.Contains(f.lane.inFlight, f)
	s.mu.Unlock()
	if !there {
		return
	}
	if s.opt.Disks != nil && time.Now().Before(until) && !s.opt.Disks.Fits(&f.Batch) {
		time.AfterFunc(roomLook, func() { s.wakeRested(f, until) })
		return
	}
	s.mu.Lock()
	f.resting = false
	s.mu.Unlock()
	s.opt.Kick()
}

// behind reports whether batches have come to pass one that has rested.
func (l *lane) behind() bool {
	return slices.ContainsFunc(l.inFlight, func(f *InFlight) bool { return f.refused > 0 })
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
