package slowdisk

import (
	"testing"
	"time"
)

func TestFlushesAreSeenToLast(t *testing.T) {
	const step = 50 * time.Millisecond
	var f flushes
	look := func(want time.Duration) {
		t.Helper()
		if got := f.look(step); got != want {
			t.Errorf("%v, want %v", got, want)
		}
	}
	look(0)
	end := f.track(Append)
	look(0) // it may have begun just now
	look(step)
	look(2 * step)
	end()
	look(0)
	for range 10 { // many short ones are not a long one
		end = f.track(Append)
		look(0)
		end()
	}

	// An append behind a truncation begins when that is over, and a truncation may take longer.
	truncated := f.track(Truncate)
	end = f.track(Append)
	look(0)
	for i := 1; i <= 8; i++ {
		look(time.Duration(i) * step / truncationsTake)
	}
	truncated()
	look(0)
	look(step)
	end()

	// What is seen counts, not what a process without processor has missed.
	end = f.track(Append)
	f.look(0)
	if got := f.look(2 * step); got != 2*step {
		t.Errorf("%v", got)
	}
	end()
}
