package check

import (
	"time"

	"github.com/lockstepkv/lockstep/jepsen/history"
)

// KeyInput is what an operation on a plain key asked for.
type KeyInput struct {
	Value string        `json:"value,omitempty"`
	TTL   time.Duration `json:"ttl_ns,omitempty"` // KeySet; 0 is no expiry
	// Stale marks a KeyGet that allowed a stale answer, at most MaxStaleness
	// old (0: any age).
	Stale        bool          `json:"stale,omitempty"`
	MaxStaleness time.Duration `json:"max_staleness_ns,omitempty"`
}

// KeyOutput is what it answered.
type KeyOutput struct {
	Found bool          `json:"found,omitempty"`
	Value string        `json:"value,omitempty"`
	Age   time.Duration `json:"age_ns,omitempty"` // of a stale read, as the reply says
	Index uint64        `json:"index,omitempty"`  // applied index that the reply names; 0 is none
}

// StaleOptions says what the reply's age may be off by.
type StaleOptions struct {
	Slack time.Duration // rounding of the age and drift of the clocks' rates
}

// Stale checks that a stale read is never older than it says and than was
// allowed. Linearizable reads in the same history must be fresh.
func Stale(ops []history.Op[KeyInput, KeyOutput], o StaleOptions) Verdict { return Verdict{} }
