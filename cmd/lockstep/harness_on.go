//go:build harness

package main

import (
	"log/slog"
	"os"

	"github.com/lockstepkv/lockstep/internal/clock"
	"github.com/lockstepkv/lockstep/transport"
)

// nodeClock is a clock that the fault-injection harness sets wrong: the file that
// this variable names holds how wrong it is now. See clock.FromFile.
func nodeClock(logger *slog.Logger) clock.Clock {
	path := os.Getenv("LOCKSTEP_HARNESS_CLOCK")
	if path == "" {
		return clock.System()
	}
	logger.Warn("this node's clock is under the control of a fault-injection harness", "file", path)
	return clock.FromFile(path, func(offset int64, rate float64) {
		logger.Warn("clock changed by the harness", "wall_offset_ms", offset, "rate", rate)
	})
}

// nodeFaults lets the harness cut this node off from others where it cannot do so
// by the network: the file that this variable names says from whom nothing is
// heard. See transport.Faults.Follow.
func nodeFaults(logger *slog.Logger) *transport.Faults {
	path := os.Getenv("LOCKSTEP_HARNESS_CUTS")
	if path == "" {
		return nil
	}
	logger.Warn("this node's connections are under the control of a fault-injection harness", "file", path)
	f := transport.NewFaults()
	f.Follow(path)
	return f
}
