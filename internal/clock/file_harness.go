//go:build harness

package clock

import (
	"fmt"
	"os"
	"sync/atomic"
	"time"
)

// filePoll is how soon a change of the file takes effect.
const filePoll = 10 * time.Millisecond

// FromFile returns the system's clock as a file distorts it: the file holds the
// offset of wall time in milliseconds and the rate of monotonic time, as
// "-700 1.02". It is read again and again for the life of the process; while it
// is absent or malformed the last state stays. told, when not nil, hears of each
// change.
func FromFile(path string, told func(offsetMillis int64, rate float64)) Clock {
	c := &fileClock{}
	c.now.Store(&distortion{rate: 1, sysStart: bootTime(), start: bootTime()})
	c.load(path, told)
	go func() {
		for range time.Tick(filePoll) {
			c.load(path, told)
		}
	}()
	return c
}

type fileClock struct{ now atomic.Pointer[distortion] }

// distortion maps the system's time from sysStart on.
type distortion struct {
	offsetMillis    int64
	rate            float64
	sysStart, start time.Duration // system's and distorted monotonic time at its beginning
	drift           time.Duration // of wall time, gathered before its beginning
}

func (c *fileClock) load(path string, told func(int64, float64)) {
	text, err := os.ReadFile(path)
	if err != nil {
		return
	}
	next := &distortion{}
	if _, err := fmt.Sscan(string(text), &next.offsetMillis, &next.rate); err != nil || next.rate <= 0 {
		return
	}
	last := c.now.Load()
	if last.offsetMillis == next.offsetMillis && last.rate == next.rate {
		return
	}
	next.sysStart = bootTime()
	next.start = last.mono(next.sysStart)
	if next.rate != 1 || next.offsetMillis != 0 { // back to "0 1" means that NTP has set it right
		next.drift = last.drift + last.gained(next.sysStart)
	}
	c.now.Store(next)
	if told != nil {
		told(next.offsetMillis, next.rate)
	}
}

// gained is how far the clock ran ahead of the system's since sysStart.
func (d *distortion) gained(system time.Duration) time.Duration {
	return time.Duration(float64(system-d.sysStart) * (d.rate - 1))
}

func (d *distortion) mono(system time.Duration) time.Duration {
	return d.start + (system - d.sysStart) + d.gained(system)
}

// Mono implements Clock.
func (c *fileClock) Mono() time.Duration { return c.now.Load().mono(bootTime()) }

// WallMillis implements Clock.
func (c *fileClock) WallMillis() int64 {
	d := c.now.Load()
	return time.Now().UnixMilli() + d.offsetMillis + (d.drift + d.gained(bootTime())).Milliseconds()
}
