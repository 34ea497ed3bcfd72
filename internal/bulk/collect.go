package bulk

import (
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"time"
)

// Large values leave several times their size as garbage behind: log entries, messages,
// buffers. The collector lets the heap double before it looks, which for a node that holds a
// gigabyte is a gigabyte more, and gives memory back to the system late. So while large
// values pass, it looks earlier, and when they have passed it is made to give back.
//
// Each look costs a time that grows with the number of objects. It comes no more often than
// for a tenth of the live heap, and what passes is left alone as long as it is little beside
// that heap.
const (
	// headroomBytes is how much the heap may grow between two looks, if that is more than a
	// tenth of it.
	headroomBytes = 16 << 20
	leastPercent  = 10
	// burstShare: bytes that have passed count when they are more than this part of the heap.
	burstShare = 32
	// quiet is how long nothing must pass for it to be over, passingTick how often the size
	// of the heap is looked at meanwhile.
	quiet       = time.Second
	passingTick = 100 * time.Millisecond
)

// passing is what passes now.
var passing burst

// burst is a time in which large values pass.
type burst struct {
	mu    sync.Mutex
	bytes int64     // guarded by mu; since it began
	last  time.Time // guarded by mu
	begun bool      // guarded by mu; a timer runs, or collect does

	// What follows is guarded by gogc.
	usual   int // GOGC before it was lowered, or what Pace wants it to be; 0: it was not lowered
	lowered int
}

// Passed is told of n bytes of a large value that have gone one step: soon their copies are
// garbage.
func Passed(n int) {
	p := &passing
	p.mu.Lock()
	defer p.mu.Unlock()
	p.bytes += int64(n)
	p.last = time.Now()
	if !p.begun {
		p.begun = true
		time.AfterFunc(0, collect)
	}
}

// collect is called every passingTick while something passes.
func collect() {
	p := &passing
	p.mu.Lock()
	bytes, over := p.bytes, time.Since(p.last) > quiet
	p.mu.Unlock()
	if over {
		p.restore()
	} else {
		p.lower(bytes)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if over {
		p.bytes = 0
		p.begun = time.Since(p.last) <= quiet // something has come meanwhile
	}
	if p.begun {
		time.AfterFunc(passingTick, collect)
	}
}

// restore sets GOGC to the usual if it was lowered, and gives memory back.
func (p *burst) restore() {
	gogc.Lock()
	defer gogc.Unlock()
	if p.usual > 0 {
		debug.FreeOSMemory()
		debug.SetGCPercent(p.usual)
		p.usual, p.lowered = 0, 0
	}
}

// lower sets GOGC by the size of the heap, once enough has passed.
func (p *burst) lower(bytes int64) {
	gogc.Lock()
	defer gogc.Unlock()
	heap, percent := heapNow()
	if p.usual == 0 && percent > leastPercent && bytes >= heap/burstShare {
		p.usual = percent
	}
	if p.usual == 0 {
		return
	}
	if want := percentFor(heap, p.usual); want != p.lowered {
		debug.SetGCPercent(want)
		p.lowered = want
	}
}

// percentFor returns by how much the live heap may grow, in percent, no more than usual.
func percentFor(heap int64, usual int) int {
	return min(usual, max(leastPercent, int(headroomBytes*100/max(heap, 1))))
}

// heapNow returns the size of the live heap at the last look, and GOGC; negative when the
// collector is switched off.
func heapNow() (live int64, percent int) {
	samples := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/gc/gogc:percent"}}
	metrics.Read(samples)
	live = int64(samples[0].Value.Uint64())
	if gogc := samples[1].Value.Uint64(); gogc < 1<<31 {
		return live, int(gogc)
	}
	return live, -1
}
