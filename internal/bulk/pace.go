package bulk

import (
	"context"
	"math"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"sync/atomic"
	"time"
)

// How far the heap may grow between two looks of the collector is chosen by what a look
// costs. That is the pointers that it follows and the objects that it marks; most of what a
// node holds are bytes in large pieces, which cost nothing. A heap of nothing but small
// objects with pointers keeps the usual GOGC.
const (
	paceTick = 250 * time.Millisecond
	// objectCost is what marking an object costs, in bytes that are searched for pointers.
	objectCost = 64
	// paceStep: GOGC is set when it would change by more than this part, since that stops
	// everything for a moment.
	paceStep = 8
	// Where looks are cheap (GOGC is 1/cheapShare of the usual or less), memory that the
	// runtime keeps for later goes back to the system, at most every idleTick, when it is a
	// quarter more than what the heap grows by between two looks. The runtime by itself keeps
	// a tenth of the heap beyond that, at which a store that is overwritten would stay.
	idleTick   = 5 * time.Second
	cheapShare = 4
)

// gogc is held by whoever sets GOGC.
var gogc sync.Mutex

// pacing is set while Pace runs.
var pacing atomic.Bool

// Pace sets GOGC until ctx ends, and then what it was. It leaves it alone when the
// environment says what it shall be, and to another Pace that runs.
func Pace(ctx context.Context) {
	if os.Getenv("GOGC") != "" || !pacing.CompareAndSwap(false, true) {
		return
	}
	defer pacing.Store(false)
	_, usual := heapNow()
	if usual <= leastPercent {
		return
	}
	tick := time.NewTicker(paceTick)
	defer tick.Stop()
	var gaveBack time.Time
	for {
		select {
		case <-ctx.Done():
			setUsual(usual)
			return
		case <-tick.C:
			live, _ := heapNow()
			want := paceFor(live, workNow(), usual)
			if differs(want) {
				setUsual(want)
			}
			if idleNow() > idleLimit(live, want, usual) && time.Since(gaveBack) > idleTick {
				debug.FreeOSMemory()
				gaveBack = time.Now()
			}
		}
	}
}

// paceFor returns GOGC for a heap of live bytes, of which a look costs as much as searching
// work bytes.
func paceFor(live, work int64, usual int) int {
	room := max(work*int64(usual)/100, leastBytes)
	return min(usual, max(leastPercent, int(room*100/max(live, 1))))
}

// idleLimit returns how much memory may be kept for later with a GOGC of percent.
func idleLimit(live int64, percent, usual int) int64 {
	if percent > usual/cheapShare {
		return math.MaxInt64
	}
	return max(live*int64(percent)/100*5/4, leastBytes)
}

// workNow returns what a look costs now.
func workNow() int64 {
	samples := []metrics.Sample{{Name: "/gc/scan/heap:bytes"}, {Name: "/gc/heap/objects:objects"}}
	metrics.Read(samples)
	return int64(samples[0].Value.Uint64()) + int64(samples[1].Value.Uint64())*objectCost
}

// idleNow returns how much memory the runtime keeps for later.
func idleNow() int64 {
	samples := []metrics.Sample{{Name: "/memory/classes/heap/free:bytes"}}
	metrics.Read(samples)
	return int64(samples[0].Value.Uint64())
}

// usualNow returns GOGC as it is when nothing large passes; gogc is held.
func usualNow() int {
	if passing.usual > 0 {
		return passing.usual
	}
	_, percent := heapNow()
	return percent
}

func differs(want int) bool {
	gogc.Lock()
	defer gogc.Unlock()
	is := usualNow()
	return want-is > is/paceStep || is-want > is/paceStep
}

// setUsual sets GOGC, or what it comes back to when what passes now has passed.
func setUsual(percent int) {
	gogc.Lock()
	defer gogc.Unlock()
	if passing.usual > 0 {
		passing.usual = percent
		return
	}
	debug.SetGCPercent(percent)
}
