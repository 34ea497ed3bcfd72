package check

import (
	"time"

	"github.com/lockstepkv/lockstep/jepsen/history"
)

// Kinds of operations of the lock workload. Key is the lock's name.
const (
	LockAcquire = "acquire" // Input: TTL. Output: Fence
	LockRenew   = "renew"   // Input: Fence, TTL
	LockRelease = "release" // Input: Fence
	LockWrite   = "write"   // Input: Fence; a write to the guarded resource, OK only if accepted
	LockRead    = "read"    // Output: Fences of the accepted writes, in the resource's order
)

// LockInput is what an operation asked for.
type LockInput struct {
	Fence uint64        `json:"fence,omitempty"`
	TTL   time.Duration `json:"ttl_ns,omitempty"`
}

// LockOutput is what it answered. A lock that was refused, a renewal or release
// that no longer held and a write that was refused are Fail.
type LockOutput struct {
	Fence  uint64   `json:"fence,omitempty"`
	Fences []uint64 `json:"fences,omitempty"`
}

// LockOptions says what the system promises beyond fences.
type LockOptions struct {
	// ClockBound is how far two leaders' clocks may be apart; see ExpiryOptions.
	ClockBound time.Duration
	// GrantIsSeen: granting a fence counts as the resource having seen it,
	// because lock and resource share a slot.
	GrantIsSeen bool
}

// Locks checks mutual exclusion and fencing.
func Locks(ops []history.Op[LockInput, LockOutput], o LockOptions) Verdict { return Verdict{} }
