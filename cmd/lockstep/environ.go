package main

import (
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

// otherVariables are those of the other programs and commands of Lockstep: a
// name, or with a '_' at its end a family of names.
var otherVariables = []string{
	"LOCKSTEP_CONFIG", "LOCKSTEP_ENDPOINT", "LOCKSTEP_PASSWORD", "LOCKSTEP_PASSWORD_FILE", "LOCKSTEP_LOCK", "LOCKSTEP_FENCE",
	"LOCKSTEP_CACERT", "LOCKSTEP_CERT", "LOCKSTEP_KEY",
	"LOCKSTEP_CLUSTER_DIR", "LOCKSTEP_BASE_PORT_OFFSET", "LOCKSTEP_BIN",
	"LOCKSTEP_HARNESS_", "LOCKSTEP_TEST_", "LOCKSTEP_FAILPOINTS",
	// Kubernetes gives these to every container beside a Service of that name.
	"LOCKSTEP_SERVICE_", "LOCKSTEP_PORT", "LOCKSTEP_PORT_",
}

// unknownVariables are names in environ that look like settings of serve and are
// none: a slip of the pen would otherwise leave a default in force. They do not
// keep a node from starting, as an unknown key of its own file does: the
// environment is shared with others.
func unknownVariables(flags *pflag.FlagSet, environ []string) []string {
	known := map[string]bool{}
	flags.VisitAll(func(f *pflag.Flag) { known[envName(f.Name)] = true })
	var unknown []string
	for _, entry := range environ {
		name, _, _ := strings.Cut(entry, "=")
		if strings.HasPrefix(name, envPrefix) && !known[name] && !isOtherVariable(name) {
			unknown = append(unknown, name)
		}
	}
	slices.Sort(unknown)
	return unknown
}

func isOtherVariable(name string) bool {
	return slices.ContainsFunc(otherVariables, func(other string) bool {
		return name == other || strings.HasSuffix(other, "_") && strings.HasPrefix(name, other)
	})
}

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
