// Package client speaks to one node over the Redis protocol or HTTP, one request
// at a time, and never repeats a request by itself.
//
// What a test of consistency rests on is that every reply is filed under the
// right outcome (package history), so the rules are in one file, outcome.go:
//
//   - a connection that cannot be made: the request failed, nothing was sent;
//   - a connection that breaks, or an answer that does not come in time, after
//     the first byte was sent: in doubt;
//   - an error reply: what its code says, -INDOUBT and HTTP's
//     "outcome":"in_doubt" in doubt, the documented definite ones failed;
//   - an error reply that is not documented: in doubt, and marked unexpected.
//
// A read changes nothing, so one that got no answer has failed (Reply.AsRead).
package client
