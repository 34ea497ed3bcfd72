package check

import (
	"time"

	"github.com/lockstepkv/lockstep/jepsen/history"
)

// ExpiryOptions says what clocks may do.
type ExpiryOptions struct {
	// ClockBound is how far the clocks of two leaders may be apart while
	// nothing has noticed.
	ClockBound time.Duration
	// LateBound, when not 0, is how long after its time a key may still be
	// seen, ClockBound included.
	LateBound time.Duration
}

// Expiry checks that a key seen gone stays gone until it is written again, that
// it is never gone before its time, counted from the earliest moment at which
// its write can have taken effect, and that a key without expiry is never gone.
func Expiry(ops []history.Op[KeyInput, KeyOutput], o ExpiryOptions) Verdict {
	return checkPresence("expiry", ops, presenceRules{
		mayGo: func(op *keyOp) time.Duration {
			if op.Input.TTL == 0 {
				return never
			}
			return max(op.Call, op.Call+op.Input.TTL-o.ClockBound)
		},
		lateBound: o.LateBound,
		timed:     true,
	})
}

// Eviction checks that under a volatile-* policy only keys with an expiry
// vanish, and that what vanished stays gone until it is written again.
func Eviction(ops []history.Op[KeyInput, KeyOutput]) Verdict {
	return checkPresence("eviction", ops, presenceRules{
		mayGo: func(op *keyOp) time.Duration {
			if op.Input.TTL == 0 {
				return never
			}
			return op.Call
		},
	})
}
