package bulk

import (
	"context"
	"math"
	"runtime"
	"runtime/debug"
	"testing"
	"time"
)

func TestNextSize(t *testing.T) {
	for need := 1; need < 1<<30; need = need*3 + 1 {
		come, steps, copied := 1, 0, 0
		for come < need {
			size := NextSize(need, come)
			if size > growth*come || size > need || size <= come {
				t.Fatalf("%d of %d have come: %d", come, need, size)
			}
			if come >= 8 {
				copied += come
			}
			come = size
			steps++
		}
		if steps > 12 || copied > need/4 {
			t.Errorf("%d bytes: %d steps, %d copied", need, steps, copied)
		}
	}
}

// Between two looks passes enough that they are rare, and not so much that it counts beside
// the value.
func TestRoomBetweenLooks(t *testing.T) {
	for _, c := range []struct{ heap, usual, want int64 }{
		{0, 100, 100}, {16, 100, 100}, {32, 100, 50}, {64, 100, 25}, {128, 100, 25}, {256, 100, 25}, {512, 100, 12}, {1024, 100, 10}, {8192, 100, 10},
		{128, 20, 20},
	} {
		if got := percentFor(c.heap<<20, int(c.usual)); got != int(c.want) {
			t.Errorf("heap of %d MiB: %d %%, want %d", c.heap, got, c.want)
		}
	}
}

// The collector looks early while large values pass, and as usual when they have passed.
func TestCollectorWhileLargeValuesPass(t *testing.T) {
	await := func(least, most int, also func()) {
		t.Helper()
		for began := time.Now(); ; <-time.After(10 * time.Millisecond) {
			also()
			_, percent := heapNow()
			if percent >= least && percent <= most {
				return
			}
			if time.Since(began) > time.Minute {
				t.Fatalf("the collector looks at %d %%, want %d to %d", percent, least, most)
			}
		}
	}
	usual := debug.SetGCPercent(90)
	defer debug.SetGCPercent(usual)
	held := make([]byte, 256<<20)
	debug.FreeOSMemory()
	await(leastPercent, mostPercent, func() { Passed(4 << 20) })
	for i := range held {
		held[i] = 1
	}
	held = nil
	await(90, 90, func() {})
	if unused := unusedNow(); unused > headroomBytes {
		t.Errorf("%d MiB are kept that nobody uses", unused>>20)
	}
}

// A large value that is gone is collected soon, though hardly anything is allocated after it.
func TestDroppedIsCollected(t *testing.T) {
	debug.FreeOSMemory()
	held := make([]byte, 128<<20)
	debug.FreeOSMemory()
	live, _ := heapNow()
	held[0] = 1
	held = nil
	Dropped(128 << 20)
	for began := time.Now(); ; <-time.After(10 * time.Millisecond) {
		if now, _ := heapNow(); now < live-100<<20 {
			return
		}
		if time.Since(began) > time.Minute {
			t.Fatal("what was dropped is still there")
		}
	}
}

func TestPaceIsByTheWorkOfALook(t *testing.T) {
	for _, c := range []struct {
		name       string
		live, work int64
		want       int
	}{
		{"a small heap", 8 << 20, 1 << 20, 100},
		{"nothing but small objects", 500 << 20, 600 << 20, 100},
		{"bytes in large pieces", 160 << 20, 4 << 20, 10},
		{"and not so many", 64 << 20, 4 << 20, 25},
		{"half and half", 400 << 20, 200 << 20, 50},
		{"a large heap", 16 << 30, 100 << 20, 10},
	} {
		if got := paceFor(c.live, c.work, 100); got != c.want {
			t.Errorf("%s: %d %%, want %d", c.name, got, c.want)
		}
	}
}

// A heap of large pieces is looked at early, one with as much in small objects is not, and
// what was set before comes back.
func TestPaceFollowsTheHeap(t *testing.T) {
	await := func(what string, is func(percent int) bool) {
		t.Helper()
		for began := time.Now(); ; <-time.After(10 * time.Millisecond) {
			runtime.GC()
			_, percent := heapNow()
			if is(percent) {
				return
			}
			if time.Since(began) > time.Minute {
				t.Fatalf("%s: the collector looks at %d %%", what, percent)
			}
		}
	}
	t.Setenv("GOGC", "")
	usual := debug.SetGCPercent(90)
	defer debug.SetGCPercent(usual)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		Pace(ctx)
	}()
	held := make([]byte, 128<<20)
	await("one piece of 128 MiB", func(percent int) bool { return percent <= 15 })
	held[0] = 1
	objects := make([]*[2]*byte, 4<<20)
	for i := range objects {
		objects[i] = &[2]*byte{}
	}
	await("4 Mi objects beside it", func(percent int) bool { return percent > 60 })
	runtime.KeepAlive(objects)
	runtime.KeepAlive(held)
	cancel()
	<-ended
	if _, percent := heapNow(); percent != 90 {
		t.Errorf("%d %% is left behind, want 90", percent)
	}
}

// What the heap needs again soon is left to it, and dear looks are not made for it.
func TestIdleLimit(t *testing.T) {
	for _, c := range []struct {
		live          int64
		percent, want int
	}{{100 << 20, 11, 16}, {160 << 20, 10, 20}, {10 << 30, 10, 1280}, {10 << 30, 40, math.MaxInt64 >> 20}} {
		if got := idleLimit(c.live, c.percent, 100); got>>20 != int64(c.want) {
			t.Errorf("%d MiB and %d %%: %d MiB, want %d", c.live>>20, c.percent, got>>20, c.want)
		}
	}
}

// Memory that is not needed any more goes back, also while the heap is large.
func TestPaceGivesBack(t *testing.T) {
	t.Setenv("GOGC", "")
	held, more := make([]byte, 128<<20), make([]byte, 64<<20)
	for _, b := range [][]byte{held, more} {
		for i := 0; i < len(b); i += 4096 {
			b[i] = 1 // so that the system has given it
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		Pace(ctx)
	}()
	runtime.KeepAlive(more)
	more = nil
	for began := time.Now(); ; <-time.After(10 * time.Millisecond) {
		runtime.GC()
		if idleNow() < headroomBytes {
			break
		}
		if time.Since(began) > time.Minute {
			t.Fatalf("%d bytes are kept for later", idleNow())
		}
	}
	runtime.KeepAlive(held)
	cancel()
	<-ended
}

// What the environment says stays.
func TestPaceLeavesGOGCAlone(t *testing.T) {
	t.Setenv("GOGC", "100")
	Pace(t.Context()) // returns
}
