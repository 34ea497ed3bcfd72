// Package hll has the commands on HyperLogLogs, which are strings of a form of their own:
// PFADD, PFCOUNT, PFMERGE, and those to look inside.
//
// The strings are Redis's byte by byte (store/value/hll), but for one thing: PFCOUNT is a read
// here, answered from any replica without the log, and so does not fill the cache of the
// cardinality that a string has. One that Redis has filled is believed.
package hll
