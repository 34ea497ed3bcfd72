package clock

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

func bootTime() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		// Every supported kernel (2.6.39 and later) has this clock, and no
		// other one may stand in for it: leases would outlive a suspend.
		panic(fmt.Sprintf("clock: CLOCK_BOOTTIME: %v", err))
	}
	return time.Duration(ts.Nano())
}
