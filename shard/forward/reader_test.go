package forward

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/resp"
)

// fakeNodes answer as they are told.
type fakeNodes struct {
	mu     sync.Mutex
	order  []string
	say    map[string]func(ctx context.Context) ([]byte, error)
	asked  []string
	denied []string
}

func (f *fakeNodes) Order() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.order)
}

func (f *fakeNodes) Denied(node string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.denied = append(f.denied, node)
}

func (f *fakeNodes) Read(ctx context.Context, node string, _ ...[]byte) ([]byte, error) {
	f.mu.Lock()
	f.asked = append(f.asked, node)
	say := f.say[node]
	f.mu.Unlock()
	return say(ctx)
}

func answers(text string) func(context.Context) ([]byte, error) {
	return func(context.Context) ([]byte, error) {
		return AppendAnswer(nil, command.ReadInfo{Index: 3}, &command.Answer{Replies: []resp.Value{resp.BulkString(text)}}, nil), nil
	}
}

func says(err error) func(context.Context) ([]byte, error) {
	return func(context.Context) ([]byte, error) { return AppendAnswer(nil, command.ReadInfo{}, nil, err), nil }
}

func fails(err error) func(context.Context) ([]byte, error) {
	return func(context.Context) ([]byte, error) { return nil, err }
}

func hangs(ctx context.Context) ([]byte, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

const hedge = 100 * time.Millisecond

func read(t *testing.T, f *fakeNodes) (reply string, took time.Duration, count map[Outcome]int, err error) {
	t.Helper()
	count = map[Outcome]int{}
	r := NewReader(f, hedge, func(o Outcome) { count[o]++ })
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	q := command.Single{Args: command.Args{[]byte("GET"), []byte("k")}}
	began := time.Now()
	_, err = r.Read(ctx, command.ReadOptions{}, &q)
	return string(q.Reply.Str), time.Since(began), count, err
}

func TestLeaderAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeNodes{order: []string{"a", "b"}, say: map[string]func(context.Context) ([]byte, error){"a": answers("v"), "b": answers("other")}}
		if v, _, count, err := read(t, f); v != "v" || err != nil || count[Answered] != 1 || len(f.asked) != 1 {
			t.Errorf("%q, %v, %v, asked %v", v, err, count, f.asked)
		}
	})
}

// TestNextNodeIsAsked when the one before has failed, has no replica, or takes long.
func TestNextNodeIsAsked(t *testing.T) {
	for name, say := range map[string]func(context.Context) ([]byte, error){
		"fails": fails(errors.New("down")), "not here": says(ErrNotHere), "not now": says(command.ErrUnavailable), "hangs": hangs,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &fakeNodes{order: []string{"a", "b"}, say: map[string]func(context.Context) ([]byte, error){"a": say, "b": answers("v")}}
				v, took, _, err := read(t, f)
				if v != "v" || err != nil || took > hedge {
					t.Errorf("%q, %v after %v", v, err, took)
				}
				if name != "hangs" && !slices.Contains(f.denied, "a") {
					t.Error("nobody is told that it does not lead")
				}
			})
		})
	}
}

// TestViewIsLookedAtAgain: nobody of an old view has a replica, and with the new one it goes on.
func TestViewIsLookedAtAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeNodes{order: []string{"a", "b"}, say: map[string]func(context.Context) ([]byte, error){"a": says(ErrNotHere), "b": says(ErrNotHere), "c": answers("v")}}
		go func() {
			time.Sleep(200 * time.Millisecond)
			f.mu.Lock()
			defer f.mu.Unlock()
			f.order = []string{"c"}
		}()
		if v, took, _, err := read(t, f); v != "v" || err != nil || took > time.Second {
			t.Errorf("%q, %v after %v", v, err, took)
		}
	})
}

// TestTriesAreBounded: the error is definite, and comes before the client's time is up.
func TestTriesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeNodes{order: []string{"a"}, say: map[string]func(context.Context) ([]byte, error){"a": says(ErrNotHere)}}
		_, took, count, err := read(t, f)
		if !errors.Is(err, command.ErrUnavailable) || took > 3*time.Second || len(f.asked) != patience || count[Failed] != 1 {
			t.Errorf("%v after %v and %d tries, %v", err, took, len(f.asked), count)
		}
		f = &fakeNodes{order: []string{"a", "b"}, say: map[string]func(context.Context) ([]byte, error){"a": hangs, "b": fails(errors.New("down"))}}
		if _, took, _, err := read(t, f); !errors.Is(err, command.ErrUnavailable) || took != 5*time.Second {
			t.Errorf("%v after %v", err, took)
		}
		f = &fakeNodes{}
		if _, _, _, err := read(t, f); !errors.Is(err, command.ErrUnavailable) {
			t.Errorf("nobody has a replica: %v", err)
		}
	})
}

// TestVerdictsEndTheRead: what no other node would answer otherwise.
func TestVerdictsEndTheRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, c := range map[string]struct {
			say  func(context.Context) ([]byte, error)
			want error
		}{
			"no node answers it": {fails(fmt.Errorf("%w: too long", ErrFinal)), command.ErrUnavailable},
			"too old":            {says(command.ErrTooStale), command.ErrTooStale},
		} {
			f := &fakeNodes{order: []string{"a"}, say: map[string]func(context.Context) ([]byte, error){"a": c.say}}
			if _, _, count, err := read(t, f); !errors.Is(err, c.want) || len(f.asked) != 1 || count[Refused] != 1 {
				t.Errorf("%s: %v, asked %v, %v", name, err, f.asked, count)
			}
		}
		// One that is not too old may still be there.
		f := &fakeNodes{order: []string{"a", "b"}, say: map[string]func(context.Context) ([]byte, error){"a": says(command.ErrTooStale), "b": answers("v")}}
		if v, _, _, err := read(t, f); v != "v" || err != nil {
			t.Errorf("%q, %v", v, err)
		}
	})
}
