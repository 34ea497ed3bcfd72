package batch

import (
	"time"
)

// A large entry must not leave followers behind: a majority is enough for it to go on, and a
// follower that it has left is sent many fragments at once, behind which small entries wait,
// and the reads of its clients for them. So the leader waits for all that keep coming, but
// for none that stands still, and never for long.
const (
	// togetherWindow is how many entries a follower may be behind.
	togetherWindow = 2 * largeWindow
	// aliveFor is how long after an answer a follower counts as one that comes.
	aliveFor = 200 * time.Millisecond
	// togetherWait is the longest wait before a fragment: 256 KiB each 10 ms, 25 MB/s.
	togetherWait = 10 * time.Millisecond
	togetherLook = time.Millisecond
)

// keepTogether waits until the followers have come near last, the newest entry of the log.
func keepTogether(f Followers, last uint64) (waited time.Duration) {
	if last <= togetherWindow {
		return 0
	}
	began := time.Now()
	for f.Behind(last-togetherWindow, began.Add(-aliveFor)) {
		if waited = time.Since(began); waited >= togetherWait {
			break
		}
		time.Sleep(togetherLook)
	}
	return waited
}
