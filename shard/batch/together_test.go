package batch

import (
	"testing"
	"testing/synctest"
	"time"
)

// behind is a follower that comes near after so many looks.
type behind struct {
	looks, after int
	asked        uint64
}

func (b *behind) Behind(index uint64, _ time.Time) bool {
	b.looks++
	b.asked = index
	return b.looks <= b.after
}

// TestLargeEntryWaitsForFollowers: as long as they come near within a moment. The time is virtual.
func TestLargeEntryWaitsForFollowers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []struct{ after, looks int }{{0, 1}, {1, 2}, {3, 4}} {
			b := &behind{after: c.after}
			if keepTogether(b, 1000); b.asked != 1000-togetherWindow || b.looks != c.looks {
				t.Errorf("a follower that is near after %d looks: %d looks for %d", c.after, b.looks, b.asked)
			}
		}
		never := &behind{after: 1 << 30}
		if waited := keepTogether(never, 1000); waited < togetherWait {
			t.Errorf("waited %v for one that never is, want %v", waited, togetherWait)
		}
		if keepTogether(never, togetherWindow); never.asked != 1000-togetherWindow {
			t.Error("waited at the beginning of the log")
		}
	})
}
