//go:build !failpoints

package sim

import "time"

// applyLate takes the build tag failpoints; without it no state machine is late.
func applyLate(*Cluster, string, time.Duration) {}
