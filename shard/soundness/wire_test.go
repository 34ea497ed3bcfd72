package soundness

import (
	"reflect"
	"testing"

	"github.com/lockstepkv/lockstep/fsm"
	"github.com/lockstepkv/lockstep/internal/heapuse"
)

func TestNotesTravel(t *testing.T) {
	n := notesOf{running: []fsm.Note{{Index: 64, Data: 1, State: 2}, {Index: 1 << 40, Data: 1 << 63, State: 3}}, audits: []fsm.Note{{Index: 7}}}
	msg := appendNotes(nil, n)
	if got, err := decodeNotes(msg); err != nil || !reflect.DeepEqual(got, n) {
		t.Fatalf("%+v, %v", got, err)
	}
	for cut := range msg {
		if _, err := decodeNotes(msg[:cut]); err == nil {
			t.Errorf("cut to %d bytes it is read", cut)
		}
	}
	if _, err := decodeNotes(append(msg, 0)); err == nil {
		t.Error("a byte too many is read")
	}
}

func FuzzDecodeNotes(f *testing.F) {
	f.Add(appendNotes(nil, notesOf{running: []fsm.Note{{Index: 64, Data: 1, State: 2}}}))
	f.Fuzz(func(t *testing.T, msg []byte) {
		var n notesOf
		var err error
		if used := heapuse.Exceeds(len(msg), 8, func() { n, err = decodeNotes(msg) }); used > 0 {
			t.Fatalf("%d bytes allocated for %d", used, len(msg))
		}
		if err == nil && 17*(len(n.running)+len(n.audits)) > len(msg) {
			t.Fatalf("%d notes from %d bytes", len(n.running)+len(n.audits), len(msg))
		}
	})
}

func FuzzDecodeRefusal(f *testing.F) {
	f.Add(AppendRefusal(nil, fsm.Refusal{Index: 300, Term: 2, Sum: 1 << 63}))
	f.Fuzz(func(t *testing.T, msg []byte) {
		if used := heapuse.Exceeds(len(msg), 8, func() { _, _ = DecodeRefusal(msg) }); used > 0 {
			t.Fatalf("%d bytes allocated for %d", used, len(msg))
		}
		r, err := DecodeRefusal(msg)
		if err == nil && (r.Index > maxNumber || len(msg) < 10) {
			t.Fatalf("%+v", r)
		}
	})
}
