// Package clock is the seam for time. Code that judges leases, stamps log
// entries or measures silence takes a Clock, so that tests and the
// fault-injection harness can move time by hand.
//
// Two clocks are told apart. Wall time can be set and stepped by an
// administrator or by NTP, so it is used only where a date is meant, and
// whoever needs it never to run backwards clamps it himself. Monotonic time
// never steps and, unlike the one inside time.Time, goes on while the machine
// is suspended (CLOCK_BOOTTIME): a leader that slept through its lease must
// notice it when it wakes up.
package clock
