// Package jepsen runs one test of consistency against real nodes: it starts a
// cluster (package cluster), lets workers use it (workload, client), injects
// faults (nemesis), heals everything, reads everything back, has the recorded
// history (history) judged (check), compares the replicas, and writes a report
// (report). It is named after Kyle Kingsbury's Jepsen, whose method it follows.
//
// A run is valid only if all of this holds: the checker found no anomaly and
// checked everything; the replicas are equal; every fault that was asked for took
// effect; the cluster was whole again soon after the last fault; no node ended
// by itself except as documented; no client saw an error that is not documented;
// and enough operations succeeded for the verdict to mean something.
package jepsen
