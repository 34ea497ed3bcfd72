//go:build !failpoints

package sim

import "time"

// corrupt takes the build tag failpoints.
func corrupt(*Cluster, *Judge, string) {}

// applyLate takes the build tag failpoints; without it no state machine is late.
func applyLate(*Cluster, string, time.Duration) {}
