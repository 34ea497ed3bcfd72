package main

import (
	"slices"
	"strings"
)

// secretVariables are not handed to the commands that `lockstep lock` runs: they
// would be in the environment of everything that those start. A file can be named
// to them instead (LOCKSTEP_PASSWORD_FILE).
var secretVariables = []string{"LOCKSTEP_PASSWORD", "LOCKSTEP_REQUIREPASS"}

func withoutSecrets(environ []string) []string {
	return slices.DeleteFunc(slices.Clone(environ), func(entry string) bool {
		name, _, _ := strings.Cut(entry, "=")
		return slices.Contains(secretVariables, name)
	})
}
