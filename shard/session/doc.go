// Package session has a node's numbered batches for one shard. A Session takes the proposals of
// the node's clients, puts them into batches, and keeps each until its outcome is known. A Sender
// hands the batches to the leader while that is another node; while it is this one, package batch takes them.
//
// It knows neither Raft nor the network: who leads, and how a batch gets there, is a Route.
package session
