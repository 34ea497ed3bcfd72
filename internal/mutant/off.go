//go:build !mutants

package mutant

// Enabled says whether this build carries mutants.
const Enabled = false

// On is false in this build.
func On(ID) bool { return false }
