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

// The collector looks early while large values pass, and as usual when they have passed.
func TestCollectorWhileLargeValuesPass(t *testing.T) {
	await := func(want int, also func()) {
		t.Helper()
		for began := time.Now(); ; <-time.After(10 * time.Millisecond) {
			also()
			_, percent := heapNow()
			if percent == want {
				return
			}
			if time.Since(began) > 20*time.Second {
				t.Fatalf("the collector looks at %d %%, want %d", percent, want)
			}
		}
	}
	usual := debug.SetGCPercent(90)
	defer debug.SetGCPercent(usual)
	held := make([]byte, 256<<20)
	debug.FreeOSMemory()
	await(leastPercent, func() { Passed(4 << 20) })
	held[0] = 1
	await(90, func() {})
}
