// Package router stands between the protocols and the shards. It finds the
// command's Spec, decides which shard holds its keys, and either runs the
// command there or tells the client where to go (MOVED). It also runs the
// commands that decide how others run: MULTI, WATCH, HELLO, AUTH, READONLY,
// CLUSTER, ... Those about the node and its clients (INFO, CONFIG, CLIENT, ...)
// are run by rooms, see Room and package admin.
//
// # Order
//
// A pipeline is cut into parts, one per shard. Within a part the order of the
// client holds: leading reads share one linearizable read, everything from the
// first write to the last travels as one batch through the log, trailing reads
// share another read. Commands for different shards may run side by side; they
// are concurrent operations of one client, as they would be on the nodes of a
// Redis Cluster. Commands of one key always have the same shard and so keep
// their order.
//
// When some of a part fails, the rest of that part is not tried: a later write
// must not overtake an earlier one whose outcome is unknown.
//
// # Errors
//
// An error reply says whether anything happened. -INDOUBT: it may have.
// -CLUSTERDOWN, -TRYAGAIN, -MOVED, -OOM and all others: it did not.
//
// # Limits
//
// There is one user (requirepass) and one database. Transactions and multi-key
// commands need keys of one slot when there are several shards, except MGET,
// MSET, DEL, UNLINK, EXISTS and TOUCH with Config.SpanShards, which are then
// atomic per shard only.
package router
