// Package stats counts what a node does for its clients: the calls, failures and times of each
// command, errors by code, connections, bytes.
//
// Package router counts, a pipeline part at a time; INFO, LATENCY and Prometheus read the
// same counters. All are atomic, so that nobody waits for a reader.
package stats
