// Package workload has what clients do during a test run. Each workload drives
// the cluster in one manner, records a history, reads everything once more when
// the faults are over, and has the history judged by its checker.
//
// A worker is one sequential client of the history. It has a connection to every
// node and a home among them; most requests go to the home, so that a node that
// is cut off goes on being asked. Keys are used up: after some hundred operations
// a workload goes on to a new one, which keeps the search for linearizations
// short and lets old keys sit through snapshots, crashes and repairs until they
// are read once more in the end.
//
// Values are unique within their key, so that a read says which write it saw.
package workload
