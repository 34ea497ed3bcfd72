// Package forward serves a shard of which this node has no replica. A Finder knows which node
// leads it, a Reader has reads answered by a node that has a replica, and a Follower learns
// what happens to locks there. Writes go as those of any other node: package session.
//
// All of it goes by the view at the time: a node that says that it has no replica has done
// nothing, and the view is looked at again.
package forward
