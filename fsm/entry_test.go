package fsm

import (
	"strings"
	"testing"

	"github.com/lockstepkv/lockstep/resp"
)

// TestEntriesOfOtherVersionsAreRefused: by the version, not as damage.
func TestEntriesOfOtherVersionsAreRefused(t *testing.T) {
	var e Entry
	err := DecodeEntry([]byte{1, 1, 5, 7, 0, 0, 0}, &e)
	if err == nil || !strings.Contains(err.Error(), "format version 1") {
		t.Errorf("%v", err)
	}
}

// TestValueLimitTravelsWithTheEntry: how long a value may grow is decided by the
// entry, not by the replica that applies it; nor does it outlast the entry.
func TestValueLimitTravelsWithTheEntry(t *testing.T) {
	r := &replica{f: newTestFSM()}
	limited := Entry{StampMillis: 1, ValueLimit: 1024, Batches: []Batch{
		batch("n1", 1, 1, 0, "SETRANGE k 1023 x", "APPEND k y", "SETRANGE k 1024 y", "SETRANGE k 536870911 y", "STRLEN k")}}
	tooLong := resp.ErrorReply(resp.ClassedError{Text: "ERR string exceeds maximum allowed size (proto-max-bulk-len)", Class: resp.ClassTooLarge})
	replies := r.apply(limited.AppendTo(nil))[0].Replies
	for i, want := range []resp.Value{resp.Int(1024), tooLong, tooLong, tooLong, resp.Int(1024)} {
		if got := replies[i]; got.Int != want.Int || string(got.Str) != string(want.Str) {
			t.Errorf("command %d answered %d %q", i, got.Int, got.Str)
		}
	}
	if got := r.apply(entryOf(2, batch("n1", 1, 2, 1, "APPEND k y")))[0].Replies[0]; got.Int != 1025 {
		t.Errorf("without a limit: %d %q", got.Int, got.Str)
	}
}
