package store

import "math/rand/v2"

// The access word of an entry, from the lowest bit:
//
//	 1 bit   visited since the SIEVE hand passed
//	 7 bits  unused
//	 8 bits  LFU counter: logarithmic, as Redis's
//	48 bits  time of the last access, Unix milliseconds
//
// Redis keeps for LFU the minute of the last decay, which is always the minute
// of the last access, so one time serves both policies.
const (
	visitedBit  = 1
	freqShift   = 8
	timeShift   = 16
	lfuInitial  = 5 // a new key must not be the least used one at once
	lfuMax      = 255
	milliPerMin = 60_000
	maxMillis   = 1<<48 - 1
)

func accessWord(millis int64, freq uint8, visited bool) uint64 {
	w := uint64(min(max(millis, 0), maxMillis))<<timeShift | uint64(freq)<<freqShift
	if visited {
		w |= visitedBit
	}
	return w
}

func lastMillis(w uint64) int64 { return int64(w >> timeShift) }

// Access is what the eviction policies know of an entry.
type Access struct {
	LastMillis int64 // Unix milliseconds, by the clock that Touch and Advance were given
	Freq       uint8 // LFU counter as of LastMillis
}

// Access returns when and how often e was used.
func (e *Entry) Access() Access {
	w := e.access.Load()
	return Access{LastMillis: lastMillis(w), Freq: uint8(w >> freqShift)}
}

// IdleMillis returns the time since the last access.
func (e *Entry) IdleMillis(nowMillis int64) int64 {
	return max(nowMillis-lastMillis(e.access.Load()), 0)
}

// Freq returns e's LFU counter after decay, as OBJECT FREQ reports it.
func (s *Store) Freq(e *Entry, nowMillis int64) uint8 {
	return decayed(e.access.Load(), nowMillis, s.opt.LFUDecayMinutes)
}

// decayed returns the LFU counter at nowMillis.
func decayed(w uint64, nowMillis int64, decayMinutes int) uint8 {
	freq := uint8(w >> freqShift)
	if decayMinutes <= 0 {
		return freq
	}
	minutes := nowMillis/milliPerMin - lastMillis(w)/milliPerMin
	if minutes <= 0 {
		return freq
	}
	periods := minutes / int64(decayMinutes)
	if periods >= int64(freq) {
		return 0
	}
	return freq - uint8(periods)
}

// increased returns freq after one more access: the higher it is, the less
// likely it grows.
func increased(freq uint8, logFactor int) uint8 {
	if freq == lfuMax {
		return freq
	}
	base := max(int(freq)-lfuInitial, 0)
	if base*logFactor == 0 || rand.Float64()*float64(base*logFactor+1) < 1 {
		return freq + 1
	}
	return freq
}

// SetAccess makes e one that was used when and as often as a says.
func (s *Store) SetAccess(e *Entry, a Access) {
	e.access.Store(accessWord(a.LastMillis, a.Freq, false))
}

// Touch records an access to e at nowMillis. Any number of readers may call it
// at once; when two meet at one entry, one of the accesses may go uncounted.
func (s *Store) Touch(e *Entry, nowMillis int64) {
	s.Advance(nowMillis)
	old := e.access.Load()
	w := s.touched(old, nowMillis)
	if w != old {
		e.access.CompareAndSwap(old, w)
	}
}

func (s *Store) touched(w uint64, nowMillis int64) uint64 {
	freq := uint8(w >> freqShift)
	if s.opt.Policy.LFU() {
		freq = increased(decayed(w, nowMillis, s.opt.LFUDecayMinutes), s.opt.LFULogFactor)
	}
	return accessWord(max(nowMillis, lastMillis(w)), freq, true)
}

// rewritten returns the access word of an entry that takes the place of one with
// word w. Writing is an access, unless the command has just called Touch.
func (s *Store) rewritten(w uint64) uint64 {
	now := s.clockMillis.Load()
	if lastMillis(w) >= now {
		return w | visitedBit
	}
	return s.touched(w, now)
}

// Advance moves the clock that new entries take their access time from. It
// never goes back. The owner calls it with the time of each log entry.
func (s *Store) Advance(nowMillis int64) {
	for {
		old := s.clockMillis.Load()
		if nowMillis <= old || s.clockMillis.CompareAndSwap(old, nowMillis) {
			return
		}
	}
}
