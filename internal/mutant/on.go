//go:build mutants

package mutant

import (
	"errors"
	"fmt"
	"os"
	"slices"
)

// Enabled says whether this build carries mutants.
const Enabled = true

// EnvVar names the one mutant of a process.
const EnvVar = "LOCKSTEP_MUTANT"

var errUnknown = errors.New("no such mutant")

// active is set once, before main.
var active = mustFind(os.Getenv(EnvVar))

// On reports whether the process runs with the mutant.
func On(id ID) bool { return id == active }

// mustFind ends a process that was asked for a mutant that there is not: a run
// without its bug would be taken for one that nobody noticed.
func mustFind(name string) ID {
	id, err := find(name)
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", EnvVar, err)
		os.Exit(2)
	}
	if id != "" {
		fmt.Fprintf(os.Stderr, "%s: this process has a deliberate bug: %s\n", EnvVar, id)
	}
	return id
}

// find returns the mutant of that name; no name is no mutant.
func find(name string) (ID, error) {
	if name == "" {
		return "", nil
	}
	if !slices.ContainsFunc(All(), func(m Mutant) bool { return string(m.ID) == name }) {
		return "", fmt.Errorf("%w: %q", errUnknown, name)
	}
	return ID(name), nil
}
