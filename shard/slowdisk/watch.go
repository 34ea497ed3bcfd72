package slowdisk

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lockstepkv/lockstep/internal/clock"
)

// A disk that is slow first costs the leadership, and only one that hangs the process.
//
// Raft's main loop waits for each flush of the log, while other goroutines go on sending
// heartbeats: a leader whose disk hangs is never deposed. So every node watches its
// flushes. When one takes longer than Limit, the leader lets another node be elected
// and sends nothing any more, and the node does not campaign until its disk has been well
// for a while. All that only while the others can do without this node: otherwise its
// disk is needed, leader or not. A disk that hangs now is worse than one that did lately.

const (
	// handoverPause is the time between two tries to hand a shard over.
	handoverPause = 2 * time.Second
	// deposedPoll is how often it is looked whether another leads.
	deposedPoll = 50 * time.Millisecond
)

// Watch sees to it that a replica whose disk is slow or full does not lead.
type Watch struct {
	opt     Options
	flushes flushes

	seen       atomic.Int64 // how long a flush has been under way when it was last looked at
	lasts      atomic.Int64 // how long a slow flush has been under way; 0: none is
	abdicating atomic.Bool
	handing    atomic.Bool  // over, for the sake of the disk
	handoverAt atomic.Int64 // monotonic time before which that is not tried again

	life context.Context // ends with Stop
	stop context.CancelFunc
	wg   sync.WaitGroup
}

// New returns a watch. Flushes may be tracked before the rest of the replica is there.
func New(opt Options) *Watch {
	w := &Watch{opt: opt}
	w.life, w.stop = context.WithCancel(context.Background())
	return w
}

// Stop ends what the watch has begun. Nobody looks any more.
func (w *Watch) Stop() { w.stop() }

// Close stops, and waits for it: for Raft's answer, too, which comes when that is shut down.
func (w *Watch) Close() {
	w.stop()
	w.wg.Wait()
}

// Track notes a write of the log until the function that it returns is called.
func (w *Watch) Track(k Flush) (end func()) { return w.flushes.track(k) }

// Flushing is for how long a flush had been under way at the last look; 0 if none was.
func (w *Watch) Flushing() time.Duration { return time.Duration(w.seen.Load()) }

// Hangs is for how long a slow flush has been under way; 0 if none is.
func (w *Watch) Hangs() time.Duration { return time.Duration(w.lasts.Load()) }

// Look does what the state of the disk asks for. passed is the time since the last look. One goroutine looks.
func (w *Watch) Look(passed time.Duration) {
	lasts := w.flushes.look(passed)
	w.seen.Store(int64(lasts))
	slow := lasts >= w.opt.Limit
	if slow {
		w.lasts.Store(int64(lasts))
		w.opt.Disk.Slowed()
	} else {
		w.lasts.Store(0)
	}
	switch w.decide(slow) {
	case abdicate:
		w.abdicate(lasts)
	case handOver:
		w.handOver(w.opt.Disk.Condition())
	}
}

// Recheck says anew whether this node may be elected.
func (w *Watch) Recheck() { w.decide(w.Hangs() > 0) }

func (w *Watch) decide(slow bool) action {
	s, disk := w.opt.Shard, w.opt.Disk.Condition()
	dispensable := disk.Poor() && len(w.successors()) >= s.Quorum()
	do, mayLead := decide(s.Leading() != 0, s.Sound(), slow, disk, dispensable)
	s.SetCampaigning(mayLead)
	return do
}

func (w *Watch) successors() []Candidate { return successors(w.opt.Shard.Others(), w.Hangs() > 0) }

// abdicate lets another node be elected while Raft's main loop waits for the disk: the
// library's own transfer would wait with it. This node sends nothing as a leader until it
// is none any more.
func (w *Watch) abdicate(lasts time.Duration) {
	if !w.abdicating.CompareAndSwap(false, true) {
		return
	}
	w.wg.Go(func() {
		defer w.abdicating.Store(false)
		s, term := w.opt.Shard, w.opt.Shard.Leading()
		if term == 0 {
			return
		}
		w.opt.Logger.Warn("the disk is slow: giving the leadership away", "term", term, "flush_lasts", lasts.Round(time.Millisecond).String())
		w.opt.Figures.GivenAway(reasonSlow)
		s.GiveUpLease(term) // whoever is elected may serve at once
		s.Mute(true)
		defer s.Mute(false)
		for _, c := range w.successors() {
			if s.StandFor(w.life, term, c.ID) == nil {
				break
			}
		}
		w.awaitDeposed(term)
	})
}

// awaitDeposed returns when this node does not lead in term any more; or when its disk is
// well again, and nobody has wanted the leadership.
func (w *Watch) awaitDeposed(term uint64) {
	over := w.opt.Clock.Mono() + w.opt.Patience
	for w.opt.Shard.Leading() == term && w.life.Err() == nil && w.opt.Clock.Mono() < over {
		if w.Hangs() > 0 {
			over = w.opt.Clock.Mono() + w.opt.Patience
		}
		clock.Pause(w.life, deposedPoll)
	}
}

// handOver hands the leadership to a node whose disk is better, while this one can still
// log.
func (w *Watch) handOver(disk Condition) {
	now := w.opt.Clock.Mono()
	if now < time.Duration(w.handoverAt.Load()) || !w.opt.Shard.Serving() || !w.handing.CompareAndSwap(false, true) {
		return
	}
	w.handoverAt.Store(int64(now + handoverPause))
	w.wg.Go(func() {
		defer w.handing.Store(false)
		reason := reasonSlow
		if !disk.Slow {
			reason = reasonFull
		}
		for _, c := range w.successors() {
			if err := w.opt.Shard.HandOver(w.life, c.ID); err != nil {
				w.opt.Logger.Info("could not hand leadership over", "to", c.ID, "error", err)
				continue
			}
			w.opt.Logger.Warn("the leadership was handed over for the sake of the disk", "to", c.ID, "reason", reason)
			w.opt.Figures.GivenAway(reason)
			return
		}
	})
}
