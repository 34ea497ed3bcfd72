// Package mutants shows that the harness finds bugs: it runs clusters with one
// deliberate bug (package internal/mutant) under the workload and the faults that
// should uncover it, again and again with other seeds, until it is caught or its
// time is over.
//
// A mutant is caught when the checker of the workload has found an anomaly, or
// when replicas differ at the same index. A run that fails for another reason, for
// instance because a fault had no effect, does not count. As a control every row
// of the table runs without its mutant too, and must be valid then.
package mutants
