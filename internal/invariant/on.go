//go:build invariants

package invariant

import "fmt"

// Enabled says whether this build checks invariants.
const Enabled = true

// Check panics with the formatted statement unless holds is true.
func Check(holds bool, format string, args ...any) {
	if !holds {
		panic("invariant broken: " + fmt.Sprintf(format, args...))
	}
}
