// Command etcd runs etcd's server and the lock of its client library, for
// scripts/bench locks to compare with. It is a module of its own, with pinned
// versions: the go commands of the repository's root leave it alone, and Lockstep
// has none of its dependencies. scripts/test does not build it either, since that
// means to download and compile a whole etcd, minutes on a small machine; what is
// here changes with etcd's version only, and scripts/bench locks builds it.
//
//	etcd member NAME DIR CLIENT-URL PEER-URL NAME=PEER-URL,...   one server
//	etcd rate   ENDPOINTS CONNECTIONS DURATION                   acquire and release, per second
package main
