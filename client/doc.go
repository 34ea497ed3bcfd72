// Package client speaks to a Lockstep cluster from Go, over HTTP JSON and over the
// Redis protocol. It is small on purpose: HTTP is requests and answers, Conn is
// commands and replies, and what the calls of docs/http-api.md and the commands of
// docs/commands.md mean is written there.
//
// # What happened to a write
//
// A request that fails has either done nothing or is in doubt: it may have happened,
// it may not, and it may still happen. Every failure of a request is an *Error that
// says which, with a code for programs (Error.Code) and a text for people:
//
//   - no connection could be made, or the two sides do not agree on TLS and certificates:
//     not applied;
//   - the connection broke, or time ran out, after the first byte was sent: in doubt,
//     unless the request changes nothing or may be repeated;
//   - an error answer: what the node says of itself, -INDOUBT and "outcome":"in_doubt"
//     in doubt, the others not applied;
//   - an error of another program in between, of status 5xx but 503, to a request that
//     changes something: in doubt.
//
// # What is repeated
//
// HTTP.Do tries one endpoint after the other. A read, and a request that is marked
// Repeatable, goes to the next one until a node answers. A write goes to the next one
// only when the connection could not be made, so that it cannot happen twice; a lost
// one can be sent again under the same idempotency key (Request.Once, or the command
// ONCE), and then happens once. HTTP.Exchange, Conn.Do and Conn.Exchange send
// once and never again, and neither does net/http below them. Error answers are never
// a reason to repeat: they are the caller's to judge.
//
// # Time and size
//
// Every call takes a context and ends with it. Options.Timeout bounds each attempt
// besides. Answers are bounded by Options.MaxAnswerBytes over HTTP, by the bounds of
// package resp over the Redis protocol.
//
// # Shards
//
// Over HTTP every node serves every key. Over the Redis protocol a sharded cluster
// answers MOVED for keys that other nodes serve, as Redis Cluster does; Slots tells
// which node to ask, and is loaded again after a MOVED.
package client
