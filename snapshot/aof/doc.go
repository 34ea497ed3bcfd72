// Package aof writes append-only files for Redis: a snapshot, and behind it what the log
// did to it.
//
// Effects, not commands, stand in it. Lockstep's log has commands that depend on its clock,
// its random source and on versions; what they did is written as SET, APPEND, PEXPIREAT,
// PERSIST, DEL, HSET and FLUSHALL.
//
// Guarantee: redis-server that replays a file of Writer has the keys, values and expiry
// times of the store whose changes were recorded.
package aof
