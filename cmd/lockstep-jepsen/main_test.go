package main

import (
	"context"
	"errors"
	"fmt"
	"testing"
)

func TestExitCodes(t *testing.T) {
	running := context.Background()
	stopped, stop := context.WithCancel(running)
	stop()
	for _, c := range []struct {
		name string
		ctx  context.Context
		err  error
		want int
	}{
		{"valid", running, nil, 0},
		{"invalid", running, errInvalid, 1},
		{"no run", running, errors.New("no such binary"), 2},
		{"interrupted", stopped, fmt.Errorf("the cluster did not start: %w", context.Canceled), 130},
		{"interrupted, by another error", stopped, errors.New("signal: killed"), 130},
		{"interrupted when it was over", stopped, nil, 0},
	} {
		if got := exitCode(c.ctx, c.err); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}
