// Package config holds the settings of a node: where each may be written, what it may be,
// and what they are together.
//
// A setting is one line of flags.go: a pflag flag that is bound to its field of a Config.
// The flag's name gives the environment variable and the key in the file, its Value checks
// the text wherever that comes from, its usage is the documentation. Load lays the sources
// over each other and returns a Config that is checked as a whole and never changes.
package config
