package forward

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lockstepkv/lockstep/fsm/wait"
	"github.com/lockstepkv/lockstep/shard/notify"
)

// fakeFeeds is a node that is followed.
type fakeFeeds struct {
	feeds   notify.Feeds
	follows int
}

func (f *fakeFeeds) Order() []string { return []string{"a"} }

func (f *fakeFeeds) Follow(_ context.Context, _ string, feed uint64, fresh bool, add, drop []wait.Topic) error {
	f.follows++
	return f.feeds.Follow("n4", feed, fresh, add, drop)
}

func (f *fakeFeeds) Poll(ctx context.Context, _ string, feed uint64) ([]wait.Event, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	return f.feeds.Poll(ctx, "n4", feed)
}

func follow(t *testing.T, fn func(feeds *fakeFeeds, f *Follower)) {
	synctest.Test(t, func(t *testing.T) {
		feeds := new(fakeFeeds)
		f := NewFollower(feeds)
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			f.Run(ctx)
			close(done)
		}()
		fn(feeds, f)
		stop()
		<-done
	})
}

func settle() {
	time.Sleep(10 * gather)
	synctest.Wait()
}

var topic = wait.Topic{Kind: wait.Lock, Key: "\xff name"}

func closed(events <-chan wait.Event) bool {
	select {
	case _, ok := <-events:
		return !ok
	default:
		return false
	}
}

// TestFirstWatcherLooks: what was before the other node knew of the topic is missed.
func TestFirstWatcherLooks(t *testing.T) {
	follow(t, func(feeds *fakeFeeds, f *Follower) {
		events, stop := f.Watch(topic)
		settle()
		if !closed(events) {
			t.Fatal("the watcher is not told that something may have been missed")
		}
		stop()
		events, stop = f.Watch(topic) // in its place
		also, end := f.Watch(topic)
		settle()
		if closed(events) || closed(also) || feeds.follows != 1 {
			t.Errorf("missed once more, %d messages", feeds.follows)
		}
		f.Tell(wait.Event{Topic: topic, Index: 7})
		if e := <-events; e.Index != 7 {
			t.Errorf("%+v", e)
		}
		stop()
		stop() // does nothing
		end()
	})
}

// TestLockThatIsFreeCostsNoMessage: nobody watches for long.
func TestLockThatIsFreeCostsNoMessage(t *testing.T) {
	follow(t, func(feeds *fakeFeeds, f *Follower) {
		_, stop := f.Watch(topic)
		stop()
		settle()
		if feeds.follows != 0 || len(f.topics) != 0 {
			t.Errorf("%d messages, %d topics", feeds.follows, len(f.topics))
		}
	})
}

// TestFeedThatFails: everybody looks, and a new feed is made.
func TestFeedThatFails(t *testing.T) {
	follow(t, func(feeds *fakeFeeds, f *Follower) {
		_, stop := f.Watch(topic)
		settle()
		stop()
		events, stop := f.Watch(topic)
		settle()
		_ = feeds.feeds.Follow("n4", 1, true, nil, nil) // in place of it
		settle()
		if !closed(events) {
			t.Fatal("the watcher is not told")
		}
		stop()
		_, stop = f.Watch(topic)
		defer stop()
		time.Sleep(time.Second)
		synctest.Wait()
		if feeds.follows < 2 {
			t.Error("no new feed")
		}
	})
}
