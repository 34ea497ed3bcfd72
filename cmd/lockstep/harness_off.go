//go:build !harness

package main

import (
	"log/slog"

	"github.com/lockstepkv/lockstep/internal/clock"
)

// minSnapshotBytes is the least setting of --snapshot-log-bytes.
const minSnapshotBytes = 1 << 20

// nodeClock is the machine's clock. Builds for fault injection (tag harness) can
// be told another time; no other build has a way to.
func nodeClock(*slog.Logger) clock.Clock { return clock.System() }
