//go:build harness

package clock

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestFromFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "clock")
	changes := make(chan string, 8)
	c := FromFile(path, func(offset int64, rate float64) { changes <- fmt.Sprint(offset, " ", rate) })
	last := c.Mono()
	for _, state := range []string{"-700 1", "0 1.5", "90000 1.5", "0 0.5", "0 1"} {
		if err := os.WriteFile(path, []byte(state+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		select {
		case got := <-changes:
			if got != state {
				t.Fatalf("the clock read %q, the file says %q", got, state)
			}
		case <-time.After(time.Minute):
			t.Fatalf("the clock never read %q", state)
		}
		if now := c.Mono(); now < last {
			t.Fatalf("monotonic time ran back from %v to %v", last, now)
		} else {
			last = now
		}
		var offset int64
		var rate float64
		fmt.Sscan(state, &offset, &rate)
		if off := c.WallMillis() - time.Now().UnixMilli() - offset; off < -3000 || off > 3000 {
			t.Fatalf("with %q wall time is %d ms beside what it should be", state, off)
		}
	}
}
