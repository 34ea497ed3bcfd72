// Package e2e tests Lockstep from outside: it builds the binary, runs real node
// processes on free ports, kills, freezes and restarts them, and speaks to them
// as clients do, with go-redis, redis-cli, HTTP and bare sockets.
//
// The files without _test are the harness: Binary builds once, Cluster and Node
// run processes. Every process ends with the test that started it, also when the
// test fails or dies. A failed test shows the end of each node's log.
//
// Tests that measure time print it and do not fail on it: the machine may be busy.
package e2e
