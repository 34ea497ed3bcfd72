// Package respapi serves the Redis protocol on a listener.
//
// Each connection has one goroutine. It reads what the client has sent so far,
// hands whole chunks of a pipeline to the Backend at once, encodes the replies
// and writes them with one system call. Arguments are never copied on the way:
// they point into the connection's read buffer until the chunk is answered.
//
// Guarantees: replies come in the order of the commands. Protocol errors, their
// words and the closing of the connection are those of Redis 7.0. A client
// that is slow, idle, hostile or half-open holds up nobody but itself, and the
// memory of requests in the making is bounded over all connections.
//
// Limits: TLS belongs to the listener that is handed in. A panic of the
// backend is not recovered: the process cannot know what it left half done.
package respapi
