// Package strings has the commands on strings: SET and GET with all their options,
// counters, ranges.
//
// What a reply shows of a value stays as it is: every change puts another one in its place or,
// of a long string, does so if it was lent (store.Entry.Bytes). Two commands that most Redis commands
// could be made of, SET and GET without options, have Ops of their own, which hold
// nothing else.
//
// INCRBYFLOAT is the one command whose arithmetic is not Go's: see extended.go.
package strings
