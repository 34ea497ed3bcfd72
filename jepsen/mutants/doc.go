// Package mutants shows that the harness finds bugs: it runs clusters with one
// deliberate bug under the workload and the faults that should uncover it, again and
// again with other seeds, until it is caught or its time is over.
//
// A bug is a patch in bugs, headed by a line that says what is wrong. It is applied to
// copies of the files, with which the go command builds in their place (-overlay): the
// sources and the binaries that people use have not a trace of it.
//
// A mutant is caught when the checker of the workload has found an anomaly, or
// when replicas differ at the same index. A run that fails for another reason, for
// instance because a fault had no effect, does not count. As a control every row
// of the table runs without its mutant too, and must be valid then.
package mutants
