package bulk

import (
	"runtime"
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
// Each look costs a time that grows with the number of objects, and stops the process twice:
// where processors are busy, each time for longer than it takes. It comes no more often than
// for a tenth of the live heap, and what passes is left alone as long as it is little beside
// that heap.
const (
	// leastBytes is how much the heap may grow between two looks, and headroomBytes if that
	// is no more than a quarter of it.
	leastBytes    = 16 << 20
	headroomBytes = 64 << 20
	leastPercent  = 10
	mostPercent   = 25
	goneShare     = 8 // garbage that is more than this part of the live heap is collected at once
	leastPart     = 4 // what may stay unused is this part of the live heap, and half of headroomBytes
	// burstShare: bytes that have passed count when they are more than this part of the heap.
	burstShare = 32
	// quiet is how long nothing must pass for it to be over, passingTick how often the size
	// of the heap is looked at meanwhile.
	quiet       = time.Second
	passingTick = 100 * time.Millisecond
	// patience is how long the runtime may take to give memory back by itself. Making it
	// give back all at once holds up the process: 512 MiB take 50 ms and more.
	patience = 10 * time.Second
)

// passing is what passes now.
var passing burst

// burst is a time in which large values pass.
type burst struct {
	mu    sync.Mutex
	bytes int64     // guarded by mu; since it began
	gone  int64     // guarded by mu; garbage since a collection was made for it
	last  time.Time // guarded by mu
	begun bool      // guarded by mu; a timer runs, or collect does

	// What follows belongs to collect, which runs once at a time.
	usual   int // GOGC before it was lowered; 0: it was not
	lowered int
	over    time.Time // since when it is over and memory is given back; zero: it is not
	looks   int       // collections since then
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

// Dropped is told of n bytes that nothing needs any more. A value that takes the place of a large one comes
// soon, and should find its memory free.
func Dropped(n int) {
	p := &passing
	p.mu.Lock()
	p.gone += int64(n)
	p.mu.Unlock()
	Passed(n)
}

// takeGone reports whether so much was dropped that it is worth a collection of its own.
func (p *burst) takeGone() bool {
	live, _ := heapNow()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.gone < max(leastBytes, live/goneShare) {
		return false
	}
	p.gone = 0
	return true
}

// collect is called every passingTick while something passes.
func collect() {
	p := &passing
	p.mu.Lock()
	bytes, over := p.bytes, time.Since(p.last) > quiet
	p.mu.Unlock()
	done := over
	if over && p.usual > 0 {
		done = p.giveBack()
	} else if !over {
		p.over = time.Time{}
		p.lower(bytes)
		if p.takeGone() {
			runtime.GC()
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if done {
		p.bytes = 0
		p.begun = time.Since(p.last) <= quiet // something has come meanwhile
	}
	if p.begun {
		time.AfterFunc(passingTick, collect)
	}
}

// giveBack reports whether memory was given back that nothing needs any more. The runtime does
// that little by little, down to what it expects to need until the next collection: after a
// second one in a row and with the least GOGC that is little.
func (p *burst) giveBack() (done bool) {
	if p.over.IsZero() {
		p.over, p.looks = time.Now(), 0
		p.set(leastPercent)
	}
	if p.looks < 2 {
		p.looks++
		runtime.GC()
		return false
	}
	live, _ := heapNow()
	unused := unusedNow()
	late := time.Since(p.over) > patience
	if unused > live/leastPart+headroomBytes/2 && !late {
		return false
	}
	if unused > live/leastPart+headroomBytes {
		debug.FreeOSMemory()
	}
	debug.SetGCPercent(p.usual)
	p.usual, p.lowered, p.over = 0, 0, time.Time{}
	return true
}

// set changes GOGC, for which the runtime stops the process.
func (p *burst) set(percent int) {
	if percent != p.lowered {
		debug.SetGCPercent(percent)
		p.lowered = percent
	}
}

// lower sets GOGC by the size of the heap, once enough has passed.
func (p *burst) lower(bytes int64) {
	heap, percent := heapNow()
	if p.usual == 0 && percent > leastPercent && bytes >= heap/burstShare {
		p.usual = percent
	}
	if p.usual == 0 {
		return
	}
	p.set(percentFor(heap, p.usual))
}

// percentFor returns by how much the live heap may grow, in percent, no more than usual.
func percentFor(heap int64, usual int) int {
	heap = max(heap, 1)
	return min(usual, max(leastPercent, int(min(mostPercent, headroomBytes*100/heap)), int(leastBytes*100/heap)))
}

// unusedNow returns the bytes that the heap has from the system and nobody uses.
func unusedNow() int64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/free:bytes"}}
	metrics.Read(sample)
	return int64(sample[0].Value.Uint64())
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
