//go:build !linux

package clock

import "time"

var processStart = time.Now()

// bootTime falls back to the runtime's monotonic clock, which on these systems
// may stand still while the machine is suspended.
func bootTime() time.Duration { return time.Since(processStart) }
