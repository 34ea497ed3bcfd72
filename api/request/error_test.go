package request

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/resp"
)

// TestErrorsOfShards: code, class and outcome come from what an error wraps, whatever it says.
func TestErrorsOfShards(t *testing.T) {
	misleading := errors.New("INDOUBT nothing was applied")
	for _, c := range []struct {
		err         error
		write, read string
		class       resp.Class // of both
		outcome     Outcome    // of the write
	}{
		{fmt.Errorf("%w: no leader", command.ErrUnavailable), "CLUSTERDOWN shard unavailable, nothing was applied: no leader", "CLUSTERDOWN shard unavailable, nothing was applied: no leader", 0, Refused},
		{command.ErrOverloaded, "TRYAGAIN too many requests waiting, nothing was applied", "TRYAGAIN too many requests waiting, nothing was applied", 0, Refused},
		{fmt.Errorf("%w: %w", command.ErrInDoubt, command.ErrUnavailable), "INDOUBT outcome unknown, the write may or may not be applied: shard unavailable, nothing was applied", "CLUSTERDOWN outcome unknown, the write may or may not be applied: shard unavailable, nothing was applied", 0, InDoubt},
		{misleading, "INDOUBT INDOUBT nothing was applied", "CLUSTERDOWN INDOUBT nothing was applied", 0, InDoubt},
		{errors.New("two\r\nlines"), "INDOUBT two  lines", "CLUSTERDOWN two  lines", 0, InDoubt},
		{fmt.Errorf("ran: %w", resp.Error("WRONGTYPE no")), "WRONGTYPE no", "WRONGTYPE no", 0, Refused},
		{fmt.Errorf("ran: %w", resp.ClassedError{Text: "ERR large", Class: resp.ClassTooLarge}), "ERR large", "ERR large", resp.ClassTooLarge, Refused},
		{context.DeadlineExceeded, "INDOUBT context deadline exceeded", "CLUSTERDOWN the read could not be confirmed before its deadline", 0, InDoubt},
	} {
		w, r := FailedWrite(c.err), FailedRead(c.err)
		if w.Error() != c.write || r.Error() != c.read || w.Class != c.class || r.Class != c.class || w.Outcome() != c.outcome || r.Outcome() != Refused {
			t.Errorf("%v:\nwrite %+v, %s\nread %+v, %s", c.err, w, w.Outcome(), r, r.Outcome())
		}
	}
	if e := FailedWrite(command.ErrTight); e.Code != CodeOOM || e.Class != resp.ClassDisk {
		t.Errorf("%+v", e)
	}
	if e := FailedRead(command.ErrTooStale); e.Code != CodeOverloaded || e.Class != resp.ClassTooStale {
		t.Errorf("%+v", e)
	}
}

// TestFailedTry says of one try only that it was not applied.
func TestFailedTry(t *testing.T) {
	const this = "this try was not applied (an earlier one under the same id may have been)"
	for err, want := range map[error]string{
		command.ErrTight:    "OOM no room on disk, " + this + ": less than --disk-reserve is free on the disk of the shard's leader, or of a majority",
		command.ErrInDoubt:  "INDOUBT outcome unknown, the write may or may not be applied",
		resp.Error("ERR x"): "ERR x",
	} {
		if got := FailedTry(err).Error(); got != want {
			t.Errorf("%v: %q, want %q", err, got, want)
		}
	}
}

// TestRepliesKeepTheirWords on the way to an Error and back.
func TestRepliesKeepTheirWords(t *testing.T) {
	for _, text := range []string{"ERR syntax error", "INDOUBT", "OOM a  b ", "MOVED 1 h:1"} {
		v := resp.ErrorReply(resp.ClassedError{Text: resp.Error(text), Class: resp.ClassValue})
		if back := OfReply(v).Reply(); string(back.Str) != text || back.Class() != resp.ClassValue {
			t.Errorf("%q became %q of class %d", text, back.Str, back.Class())
		}
	}
	if OutcomeOf(resp.OK) != Done || OutcomeOf(resp.Err("INDOUBT x")) != InDoubt || OutcomeOf(resp.Err("INDOUBTFUL x")) != Refused {
		t.Error("wrong outcome")
	}
}
