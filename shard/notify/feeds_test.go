package notify

import (
	"context"
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/lockstepkv/lockstep/fsm/wait"
)

func lockTopic(name string) wait.Topic { return wait.Topic{Kind: wait.Lock, Key: name} }

func mustFollow(t *testing.T, f *Feeds, node string, id uint64, fresh bool, add, drop []wait.Topic) {
	t.Helper()
	if err := f.Follow(node, id, fresh, add, drop); err != nil {
		t.Fatal(err)
	}
}

func TestFeedsTellEachWhatItFollows(t *testing.T) {
	var f Feeds
	a, b := lockTopic("a"), lockTopic("b")
	f.hear(wait.Event{Topic: a, Index: 1}) // nobody follows
	mustFollow(t, &f, "n4", 1, true, []wait.Topic{a}, nil)
	mustFollow(t, &f, "n5", 1, true, []wait.Topic{b}, nil)
	mustFollow(t, &f, "n5", 1, false, []wait.Topic{a}, []wait.Topic{b})
	f.hear(wait.Event{Topic: b, Index: 2})
	f.hear(wait.Event{Topic: a, Index: 3})
	for _, node := range []string{"n4", "n5"} {
		if got, err := f.Poll(t.Context(), node, 1); err != nil || len(got) != 1 || got[0].Index != 3 {
			t.Errorf("%s: %+v, %v", node, got, err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if got, err := f.Poll(ctx, "n4", 1); len(got) != 0 || err != nil {
		t.Errorf("%+v, %v", got, err)
	}
	told := make(chan []wait.Event)
	go func() {
		got, _ := f.Poll(t.Context(), "n4", 1)
		told <- got
	}()
	f.hear(wait.Event{Topic: a, Index: 4})
	if got := <-told; len(got) != 1 || got[0].Index != 4 {
		t.Errorf("%+v", got)
	}
}

// TestFeedsSayThatTheyMissed what was too much, what a snapshot skipped, and what another feed took over.
func TestFeedsSayThatTheyMissed(t *testing.T) {
	a := lockTopic("a")
	for name, miss := range map[string]func(f *Feeds){
		"too much": func(f *Feeds) {
			for i := range feedRoom + 1 {
				f.hear(wait.Event{Topic: a, Index: uint64(i)})
			}
		},
		"a snapshot":   func(f *Feeds) { f.missed() },
		"another feed": func(f *Feeds) { _ = f.Follow("n4", 2, true, nil, nil) },
	} {
		var f Feeds
		mustFollow(t, &f, "n4", 1, true, []wait.Topic{a}, nil)
		miss(&f)
		if err := f.Follow("n4", 1, false, nil, nil); !errors.Is(err, ErrMissed) {
			t.Errorf("%s: Follow says %v", name, err)
		}
		if _, err := f.Poll(t.Context(), "n4", 1); !errors.Is(err, ErrMissed) {
			t.Errorf("%s: Poll says %v", name, err)
		}
		mustFollow(t, &f, "n4", 3, true, []wait.Topic{a}, nil)
	}
	var f Feeds
	if err := f.Follow("n4", 1, false, nil, nil); !errors.Is(err, ErrMissed) {
		t.Errorf("a feed that there is not: %v", err)
	}
}

func TestFeedsAreBounded(t *testing.T) {
	var f Feeds
	topics := make([]wait.Topic, feedTopics)
	for i := range topics {
		topics[i] = lockTopic(strconv.Itoa(i))
	}
	mustFollow(t, &f, "n4", 1, true, topics, nil)
	if err := f.Follow("n4", 1, false, []wait.Topic{lockTopic("more")}, nil); !errors.Is(err, ErrFeedFull) {
		t.Errorf("%v", err)
	}
	mustFollow(t, &f, "n4", 1, false, []wait.Topic{lockTopic("more")}, topics[:1])
}
