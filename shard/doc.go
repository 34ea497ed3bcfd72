// Package shard runs a node's share of the cluster: one Raft group for each shard of which it has
// a replica, and the way to those that have the others (Remote).
//
// A write takes this way. Propose hands units to the session, which owns the
// node's requests: it numbers them in batches and keeps each batch until its
// outcome is known. The packer of the leader's node takes every waiting batch,
// its own node's and those that other nodes sent, and puts them into one log
// entry. The state machine applies the entry, and the replies go back to the
// sessions.
//
// A batch whose fate is unknown (the leader died, the connection broke) is sent
// again under the same number to whoever leads now; the state machine answers
// it from its session when it was applied before. A client of a surviving node
// sees a leader's death as latency.
//
// A read (package readindex) is answered from memory after a confirmation round: a quorum
// of voters, asked after the read arrived, still has the leader's term.
//
// What a replica does beside is in rooms of its own, which ask the replica through interfaces
// that they declare: whether its state is right (soundness), when it takes a snapshot (compact),
// when its leader counts as gone (detector), when it serves as leader (leadership), what a slow
// disk costs it (slowdisk), and who may not vote (quarantine).
//
// Lock order: packer.mu, then that of session.Session. Neither is held while calling Raft, the
// state machine or a peer.
package shard
