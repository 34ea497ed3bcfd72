// Package strings has the commands on strings: SET and GET with all their options,
// counters, ranges.
//
// A value is immutable once it is stored: every change puts another one in its place, so
// that a reply may share memory with the store. Two commands that most Redis commands
// could be made of, SET and GET without options, have Ops of their own, which hold
// nothing else.
//
// INCRBYFLOAT is the one command whose arithmetic is not Go's: see extended.go.
package strings
