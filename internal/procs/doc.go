// Package procs runs node processes: for scripts/cluster, whose nodes outlive the command
// that started them, and for tests and the fault injection, whose nodes must not.
//
// Process is a child of this program. It ends with it, however it ends (PDEATHSIG), and
// its end is seen at once. Detached is a process that an earlier program has left, found
// again by its process id and its command line. Both are stopped, killed, paused and
// resumed by the same functions, and their state is that of /proc: Linux only.
//
// The rest is what everybody who runs nodes needs besides: their addresses and arguments
// (Node), free ports, a build, a probe of readiness, a bound on memory.
package procs
