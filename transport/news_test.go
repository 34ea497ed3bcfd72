package transport

import (
	"errors"
	"log/slog"
	"testing"
)

// A node that was never there is no warning, one that is lost is one, once; a refusal that
// somebody has to mend is an error.
func TestLossOfAPeerIsToldOnce(t *testing.T) {
	var n linkNews
	refused, eof := errors.New("connection refused"), errors.New("EOF")
	for i, step := range []struct {
		connected bool
		err       error
		want      slog.Level
	}{
		{false, refused, slog.LevelInfo}, // not started yet
		{false, eof, slog.LevelDebug},
		{true, eof, slog.LevelWarn},
		{false, refused, slog.LevelDebug}, // the same loss, with another reason
		{true, refused, slog.LevelWarn},
		{false, ErrWrongCluster, slog.LevelError},
		{false, ErrWrongCluster, slog.LevelDebug},
		{false, ErrWrongNode, slog.LevelError},
	} {
		if step.connected {
			n.connected()
		}
		if got := n.lost(step.err); got != step.want {
			t.Errorf("step %d: %v, want %v", i, got, step.want)
		}
	}
}
