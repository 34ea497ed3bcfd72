// Package mutant holds deliberate bugs, with which the harness in jepsen/ shows that it would have found
// them: a checker that cannot fail proves nothing.
//
// A place that can be wrong asks On with the name of its bug. In a normal build On is a constant false,
// and the compiler removes the question with what depends on it. With the build tag `mutants` it is true
// for the one name in the environment variable LOCKSTEP_MUTANT; a process that finds an unknown name there
// does not start. Without the variable a build with the tag behaves like any other.
//
// A new one takes a constant and a line in All, the question at its place, and a row in the table of
// jepsen/mutants, which says who should notice.
package mutant
