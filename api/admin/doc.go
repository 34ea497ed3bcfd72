// Package admin runs the commands about a node and its clients: INFO, CONFIG, CLIENT, COMMAND,
// SLOWLOG, LATENCY, TIME and WAIT.
//
// It is a room of the router (router.Room): it sees the counters, the settings, the sessions
// and this node's replicas through the views of router.Services, and never the router. It
// waits for no leader, so that a node can be looked into when nothing else works.
package admin
