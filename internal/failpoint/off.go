//go:build !failpoints

package failpoint

// Enabled says whether this build carries failpoints.
const Enabled = false

// Inject does nothing in this build.
func Inject(string) error { return nil }
