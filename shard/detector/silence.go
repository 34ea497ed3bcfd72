package detector

import (
	"math"
	"time"
)

// raftPatience is Raft's own timeout, in heartbeat timeouts: see detector.go.
const raftPatience = 5

// RaftTimeout is how long a leader goes on without a quorum, and at least how long a
// follower waits for its leader should the detector fail.
func RaftTimeout(heartbeat time.Duration) time.Duration { return raftPatience * heartbeat }

// Step is how often the detector looks.
func Step(heartbeat time.Duration) time.Duration { return max(heartbeat/6, 5*time.Millisecond) }

// silence measures how long a replica has not heard of its leader, and decides when that is
// too long. It is pure: the time comes from outside.
//
// It counts only the time in which this process was awake. One that was stopped for a
// second has not listened for a second: what came meanwhile waits in its sockets. So
// between two ticks at most two steps count.
//
// It learns: a silence that the leader ended by itself, or during which it turns out to
// have lived, was a pause of its process or of the network. One is an accident, two are a
// pattern: the limit is half as long again as the second longest of them. All are half
// forgotten after forgetHalf.
type silence struct {
	base time.Duration // --heartbeat-timeout
	step time.Duration // the time between ticks

	ticked  time.Duration // when it was last looked at; 0: never
	lasts   time.Duration
	longest time.Duration // of the pauses that are remembered
	learned time.Duration // the second longest
	chance  float64       // 0 to 1; spreads the limits of replicas
}

const forgetHalf = time.Minute

// tick counts the time since the last one. heard says that there was a sign of life in it.
func (s *silence) tick(now time.Duration, heard bool, chance func() float64) {
	passed := now - s.ticked
	if s.ticked == 0 || passed < 0 {
		passed = 0
	}
	s.ticked = now
	s.longest, s.learned = forgotten(s.longest, passed), forgotten(s.learned, passed)
	s.lasts += min(passed, 2*s.step)
	if heard {
		s.broken(chance)
	}
}

// broken ends the silence.
func (s *silence) broken(chance func() float64) {
	s.learn(s.lasts)
	s.lasts, s.chance = 0, chance()
}

// learn notes a silence during which the leader lived. One that is no longer than expected
// teaches nothing.
func (s *silence) learn(lasted time.Duration) {
	lasted = min(lasted, raftPatience*s.base)
	switch {
	case lasted <= s.base:
	case lasted > s.longest:
		s.longest, s.learned = lasted, s.longest
	default:
		s.learned = max(s.learned, lasted)
	}
}

// forgotten is what is left of d when some time has passed.
func forgotten(d, passed time.Duration) time.Duration {
	if passed == 0 {
		return d
	}
	return time.Duration(float64(d) * math.Exp2(-float64(passed)/float64(forgetHalf)))
}

// least is the limit without the part that is left to chance. gone says that there is
// nobody to be heard: the connection to the leader is lost, it says that it does not lead,
// or no leader is known.
func (s *silence) least(gone bool) time.Duration {
	if gone {
		return s.base / 2
	}
	return max(s.base, s.learned*3/2)
}

// tooLong reports whether it is time to ask the others. A dead process is noticed by its
// connection: half a heartbeat timeout. One that gives no answer: one to two.
func (s *silence) tooLong(gone bool) bool {
	least := s.least(gone)
	return s.lasts >= least+time.Duration(s.chance*float64(min(least, s.base)))
}
