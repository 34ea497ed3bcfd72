package check

import (
	"time"

	"github.com/lockstepkv/lockstep/jepsen/history"
)

// Kinds of register operations.
const (
	RegisterRead   = "read"   // Output: Found, Value
	RegisterWrite  = "write"  // Input: Value
	RegisterCAS    = "cas"    // Input: Expect or ExpectAbsent, Value. Output: Swapped
	RegisterDelete = "delete" // sets the register to absent
)

// RegisterInput is what a register operation asked for.
type RegisterInput struct {
	Value        string `json:"value,omitempty"`
	Expect       string `json:"expect,omitempty"`
	ExpectAbsent bool   `json:"expect_absent,omitempty"`
}

// RegisterOutput is what it answered. A CAS that is OK and not Swapped observed
// that the value differs; if a client only knows that nothing was written (a
// WATCH that was hit, a version that differs), the outcome is Fail.
type RegisterOutput struct {
	Value   string `json:"value,omitempty"`
	Found   bool   `json:"found,omitempty"`
	Swapped bool   `json:"swapped,omitempty"`
}

// RegisterOptions bounds the search.
type RegisterOptions struct {
	Timeout time.Duration // for all keys together; 0 is one minute
	// Visualize, when set, is called with the HTML page that shows a key's
	// longest linearizable prefixes; once for each of the first few bad keys.
	Visualize func(key string, page []byte)
}

// Register checks that each key is a linearizable register with compare and
// set. Written values should be unique within a key; the search is much faster
// then.
func Register(ops []history.Op[RegisterInput, RegisterOutput], o RegisterOptions) Verdict {
	return Verdict{}
}
