package shard

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"reflect"
	"testing"

	"github.com/lockstepkv/lockstep/fsm"
	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/internal/heapuse"
	"github.com/lockstepkv/lockstep/resp"
	"github.com/lockstepkv/lockstep/shard/readindex"
	"github.com/lockstepkv/lockstep/shard/session"
)

// resultFactor is how many times its encoded size a result may take in memory: a reply
// of a byte becomes a resp.Value, in a list that grew to its length.
const resultFactor = 256

func TestResultsTravel(t *testing.T) {
	want := fsm.BatchResult{Replies: []resp.Value{resp.OK, resp.Nil, resp.Array(resp.Int(1), resp.BulkString("x"))}}
	msg := encodeResult(want, nil)
	if got, err := decodeResult(msg); err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("%+v, %v", got, err)
	}
	for cut := range msg {
		if _, err := decodeResult(msg[:cut]); err == nil {
			t.Errorf("cut to %d bytes it is read", cut)
		}
	}
	if _, err := decodeResult(append(msg, 0)); !errors.Is(err, errMalformedMessage) {
		t.Errorf("a byte too many: %v", err)
	}
}

func TestResultsTakeMemoryForWhatIsThere(t *testing.T) {
	const n = 8 << 20
	msg := append(binary.AppendUvarint([]byte{resultApplied}, n), bytes.Repeat([]byte{0xff}, n)...)
	var err error
	used := heapuse.Of(func() { _, err = decodeResult(msg) })
	if err == nil || used > 1<<20 {
		t.Errorf("%d bytes allocated, %v", used, err)
	}
}

func FuzzDecodeResult(f *testing.F) {
	f.Add(encodeResult(fsm.BatchResult{Replies: []resp.Value{resp.OK, resp.Nil}}, nil))
	f.Add(encodeResult(fsm.BatchResult{Err: fsm.ErrStaleBoot}, nil))
	f.Fuzz(func(t *testing.T, msg []byte) {
		if used := heapuse.Exceeds(len(msg), resultFactor, func() { _, _ = decodeResult(msg) }); used > 0 {
			t.Fatalf("%d bytes allocated for %d", used, len(msg))
		}
	})
}

func FuzzDecodeNoted(f *testing.F) {
	f.Add(appendNoted(nil, readindex.Noted{Term: 3, Index: 9, Stamp: fsm.Stamp{Wall: 5, Mono: 6}}, 12))
	f.Fuzz(func(t *testing.T, msg []byte) {
		var n readindex.Noted
		var last uint64
		var err error
		if used := heapuse.Exceeds(len(msg), 8, func() { n, last, err = decodeNoted(msg) }); used > 0 {
			t.Fatalf("%d bytes allocated for %d", used, len(msg))
		}
		if err != nil {
			return
		}
		if again, l, err := decodeNoted(appendNoted(nil, n, last)); err != nil || again != n || l != last {
			t.Fatalf("%+v, %d became %+v, %d, %v", n, last, again, l, err)
		}
	})
}

func TestResultSurvivesTheWire(t *testing.T) {
	want := fsm.BatchResult{Index: 1 << 40, Replies: []resp.Value{resp.OK, resp.Int(7), resp.Nil, resp.Array(resp.BulkString("a"), resp.NilArray)}}
	got, err := decodeResult(encodeResult(want, nil))
	if err != nil || got.Index != want.Index || fmt.Sprint(got.Replies) != fmt.Sprint(want.Replies) {
		t.Fatalf("%v %v, want %v", got, err, want)
	}
	if _, err := decodeResult(encodeResult(fsm.BatchResult{}, session.ErrNotServing)); !errors.Is(err, session.ErrNotServing) {
		t.Fatalf("%v, want not serving", err)
	}
	if _, err := decodeResult(encodeResult(fsm.BatchResult{}, session.ErrFull)); !errors.Is(err, command.ErrNoRoom) {
		t.Fatalf("%v, want no room", err)
	}
	if _, err := decodeResult(encodeResult(fsm.BatchResult{}, errors.New("x"))); !errors.Is(err, session.ErrDoubt) {
		t.Fatalf("%v, want doubt", err)
	}
}
