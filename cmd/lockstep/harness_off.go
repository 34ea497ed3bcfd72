//go:build !harness

package main

import (
	"log/slog"

	"github.com/lockstepkv/lockstep/internal/clock"
	"github.com/lockstepkv/lockstep/transport"
)

// nodeClock is the machine's clock. Builds for fault injection (tag harness) can
// be told another time; no other build has a way to.
func nodeClock(*slog.Logger) clock.Clock { return clock.System() }

// nodeFaults: only builds for fault injection can be told not to hear a peer.
func nodeFaults(*slog.Logger) *transport.Faults { return nil }
