package forward

import (
	"bytes"
	"errors"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/resp"
)

func TestRequestsComeAcross(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		opt := command.ReadOptions{
			Consistency:  rapid.SampledFrom([]command.Consistency{command.Linearizable, command.Stale}).Draw(t, "consistency"),
			MaxStaleness: time.Duration(rapid.IntRange(0, 1e6).Draw(t, "staleness")) * time.Millisecond,
			MinIndex:     rapid.Uint64().Draw(t, "index"),
		}
		r := command.Request{
			NoTouch: rapid.Bool().Draw(t, "notouch"), BoundReplies: rapid.Bool().Draw(t, "bound"),
			ReplyBytes: rapid.IntRange(0, 1<<30).Draw(t, "bytes"),
		}
		for range rapid.IntRange(0, 5).Draw(t, "units") {
			r.Units.Add(command.Args{[]byte("GET"), rapid.SliceOf(rapid.Byte()).Draw(t, "key")})
		}
		msg := append(AppendRequest(nil, opt, &r), r.Units.Body...)
		gotOpt, got, units, err := DecodeRequest(msg)
		if err != nil || gotOpt != opt || !bytes.Equal(units, r.Units.Body) || got.Units.N != r.Units.N ||
			got.NoTouch != r.NoTouch || got.BoundReplies != r.BoundReplies || got.ReplyBytes != r.ReplyBytes {
			t.Fatalf("%+v %+v: %+v %+v, %v", opt, r, gotOpt, got, err)
		}
		_, _, _, _ = DecodeRequest(msg[:rapid.IntRange(0, len(msg)).Draw(t, "cut")]) // does not panic
	})
}

// TestShortStalenessStaysOne: less than the message can tell is not "any age".
func TestShortStalenessStaysOne(t *testing.T) {
	opt := command.ReadOptions{Consistency: command.Stale, MaxStaleness: time.Nanosecond}
	got, _, _, err := DecodeRequest(AppendRequest(nil, opt, new(command.Request)))
	if err != nil || got.MaxStaleness != time.Millisecond {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestAnswersComeAcross(t *testing.T) {
	info := command.ReadInfo{Index: 7, Age: 3 * time.Millisecond}
	a := command.Answer{Replies: []resp.Value{resp.BulkString("v"), resp.Array(resp.Int(-1), resp.NilArray)}, ReplyBytes: 5, Hits: 1, Misses: 2, Keys: 9}
	msg := AppendAnswer(nil, info, &a, nil)
	gotInfo, got, err := DecodeAnswer(msg, 2)
	if err != nil || gotInfo != info || !reflect.DeepEqual(got, a) {
		t.Fatalf("%+v %+v, %v", gotInfo, got, err)
	}
	for n := range len(msg) {
		if _, _, err := DecodeAnswer(msg[:n], 2); !errors.Is(err, ErrMalformed) {
			t.Errorf("%d of %d bytes: %v", n, len(msg), err)
		}
	}
	if _, _, err := DecodeAnswer(msg, 3); !errors.Is(err, ErrMalformed) {
		t.Errorf("a reply is missing: %v", err)
	}
	if _, _, err := DecodeAnswer(append(msg, 0), 2); !errors.Is(err, ErrMalformed) {
		t.Errorf("a byte too many: %v", err)
	}
	for _, c := range []struct{ said, want error }{
		{ErrNotHere, ErrNotHere}, {command.ErrTooStale, command.ErrTooStale}, {command.ErrUnavailable, command.ErrUnavailable}, {errors.New("other"), command.ErrUnavailable},
	} {
		if _, _, err := DecodeAnswer(AppendAnswer(nil, info, nil, c.said), 2); !errors.Is(err, c.want) {
			t.Errorf("%v: %v", c.said, err)
		}
	}
}
