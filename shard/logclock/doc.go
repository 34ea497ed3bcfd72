// Package logclock is the clock with which a leader stamps log entries: a wall
// clock disciplined by the voters, and a monotonic one.
//
// The wall clock moves with the leader's monotonic clock. It is steered towards the
// wall clocks of a quorum of the voters, at a rate of 0.9 to 1.1, and so never
// stands still because it is ahead, and never runs back. It steps forward only
// when a quorum of the voters, this node among them, agrees on the time: after the
// whole cluster was down, or when all clocks were set. Without such a quorum it goes
// on by the monotonic clock. One bad clock, of whichever node, thus moves nothing;
// a quorum of bad clocks is believed.
//
// The monotonic clock of the log counts the time during which somebody led. No
// setting of a clock touches it. Lifetimes of locks, waits and idempotency ids count
// it; expiry times of keys, which may be dates, count the wall clock.
//
// The idea is that of a clock disciplined by NTP (RFC 5905, section 11), with
// Raft's quorum in the place of its selection of servers (section 11.2.1).
package logclock
