// Command lockstep is the server and its tools in one binary.
//
// `lockstep serve` reads its settings once, from flags, LOCKSTEP_* environment
// variables, a YAML file and defaults in that order of precedence, has them checked
// into an immutable config.Config and hands that to runServe, which wires the parts of
// a node together. No other code reads flags or the environment.
//
// The other subcommands are clients: they speak HTTP or the Redis protocol to a
// running cluster, except export-aof and recover, which work on the data
// directories of stopped nodes. Every subcommand ends with one of the exit codes of exit.go.
package main
