// Package resp holds the reply value of Lockstep and the codec of the Redis
// serialization protocol, versions 2 and 3 (https://redis.io/docs/latest/develop/reference/protocol-spec/).
//
// A Value is what every command answers: the state machine produces it, the
// replicas remember it for retries, and the two protocols encode it as RESP or
// as JSON. Reader reads what clients send, Writer and Append spell replies,
// ReadValue is the client's side, AppendBinary and DecodeBinary are the compact
// form for peers and snapshots.
//
// Input is taken to be hostile: lengths, counts and depths are bounded, and
// memory follows the bytes that came, not those announced. The package knows nothing about commands, sockets or shards.
package resp
