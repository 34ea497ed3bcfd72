package clock

import (
	"sync"
	"time"
)

// Clock tells wall time and monotonic time. It is safe for concurrent use.
type Clock interface {
	// WallMillis is Unix time in milliseconds. It may step in both directions.
	WallMillis() int64
	// Mono is the time since an arbitrary fixed point. It never runs backwards
	// and counts the time in which the machine was suspended.
	Mono() time.Duration
}

// System returns the machine's clock.
func System() Clock { return system{} }

type system struct{}

func (system) WallMillis() int64   { return time.Now().UnixMilli() }
func (system) Mono() time.Duration { return bootTime() }

// Skewed returns a clock whose wall time is base's plus offset and whose
// monotonic time runs at rate times base's speed from now on (1 is exact). The
// fault-injection harness uses it to run a node with a bad clock.
func Skewed(base Clock, offset time.Duration, rate float64) Clock {
	return skewed{base: base, offset: offset, rate: rate, start: base.Mono(), wallStart: base.WallMillis()}
}

type skewed struct {
	base      Clock
	offset    time.Duration
	rate      float64
	start     time.Duration
	wallStart int64
}

func (s skewed) WallMillis() int64 {
	passed := float64(s.base.WallMillis()-s.wallStart) * s.rate
	return s.wallStart + int64(passed) + s.offset.Milliseconds()
}

func (s skewed) Mono() time.Duration {
	return s.start + time.Duration(float64(s.base.Mono()-s.start)*s.rate)
}

// Manual is a clock that stands still until it is told to move.
type Manual struct {
	mu         sync.Mutex
	wallMillis int64         // guarded by mu
	mono       time.Duration // guarded by mu
}

// NewManual returns a clock that stands at wallMillis, with monotonic time 0.
func NewManual(wallMillis int64) *Manual { return &Manual{wallMillis: wallMillis} }

// WallMillis implements Clock.
func (m *Manual) WallMillis() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.wallMillis
}

// Mono implements Clock.
func (m *Manual) Mono() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.mono
}

// Advance moves both clocks on by d. It panics when d is negative, because
// monotonic time cannot run backwards.
func (m *Manual) Advance(d time.Duration) {
	if d < 0 {
		panic("clock: Advance by a negative duration")
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mono += d
	m.wallMillis += d.Milliseconds()
}

// StepWall sets wall time off by d, in either direction, as an administrator
// or NTP would. Monotonic time does not notice.
func (m *Manual) StepWall(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.wallMillis += d.Milliseconds()
}
