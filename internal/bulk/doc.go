// Package bulk copies large byte slices without holding up the process.
//
// The Go runtime cannot interrupt a copy: a garbage collection that begins
// during a copy of 64 MiB stops every other goroutine until it ends, heartbeats
// included. What makes such a copy long is less the copying than memory that
// was never touched: each of its pages faults, one by one. So copies go in steps
// of StepBytes, between which the runtime can act, and the pages of a step are
// asked for at once in a system call, during which others run.
//
// For small slices the functions do what append and copy do.
//
// Passed is told what has gone by, and Dropped what is garbage now: while it is
// much, the garbage collector looks earlier, and afterwards memory is given back,
// little by little.
package bulk
