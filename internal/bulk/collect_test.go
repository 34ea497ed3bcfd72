package bulk

import (
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
			if time.Since(began) > 20*time.Second {
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
		if time.Since(began) > 20*time.Second {
			t.Fatal("what was dropped is still there")
		}
	}
}
