// Package queries has the commands that a node asks of a shard on behalf of its router, beside
// those of clients: what WATCH remembers, where a lock's request stands, figures. They are
// commands, and not functions over a state, so that they can be sent to a node that has a replica.
package queries
