// Package fsm is the replicated state machine of one shard.
//
// A log entry carries everything that the replicas need to agree: the leader's
// time stamp, the evictions that the leader chose, settings, and the batches of
// units that nodes sent on behalf of their clients. Applying an entry is pure:
// the same log gives the same store, the same replies and the same snapshot on
// every replica.
//
// Batches are numbered by the node that owns them (see session.go), so a batch
// that reaches the log twice is applied once and answered twice. This is the
// client session of the Raft dissertation (Ongaro 2014, section 6.3) with the
// node as the client.
//
// Entries that exceed MaxEntryBytes are cut into fragments (fragment.go): no log
// entry is ever large enough to hold up heartbeats, other shards or a follower
// that catches up. Where the node has the units of such an entry in memory already, as the
// one that took them from a client or as the leader, its fragments are only compared.
package fsm
