// Command locks measures the locks of a running Lockstep cluster over the Redis
// protocol. scripts/bench locks starts a cluster for it and puts the figures
// beside those of etcd, which come from the program in ../etcd; that one is a
// module of its own, so that nobody who builds Lockstep gets etcd's dependencies.
//
//	locks rate      acquire and release without contention, per second
//	locks handover  from a release to the next waiter's grant
//	locks held      what holding and renewing many locks costs the nodes
//
// Every result is one line of words and numbers, for scripts to take apart.
package main
