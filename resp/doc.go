// Package resp holds the reply value of Lockstep and the codec of the Redis
// serialization protocol, versions 2 and 3 (https://redis.io/docs/latest/develop/reference/protocol-spec/).
//
// A Value is what every command answers: the state machine produces it, the
// replicas remember it for retries, and the two protocols encode it as RESP or
// as JSON. The package knows nothing about commands, sockets or shards.
package resp
