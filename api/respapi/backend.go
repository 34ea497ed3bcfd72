package respapi

import (
	"context"
	"time"

	"github.com/lockstepkv/lockstep/resp"
)

// Backend is what the listener needs of the part that runs commands. FromRouter
// makes one.
type Backend interface {
	// Open starts the session of a client. kill, called from any goroutine,
	// closes the client's connection without waiting. gone, called during a
	// DoPipeline, reports whether the client has closed its end. memory, called
	// from any goroutine, tells what the connection holds.
	Open(remoteAddr, localAddr string, kill func(), gone func() bool, memory func() Memory) Session
	// Clients returns the number of open sessions.
	Clients() int
	// Tuning returns the settings that may change while the server runs.
	Tuning() Tuning
	CountRejectedConnection()
	CountNetwork(in, out int64)
	// CountUnread adds to the bytes of replies that are kept for clients.
	CountUnread(bytes int64)
	// CountOutputCut counts a client that was cut off since it did not read its replies.
	CountOutputCut()
}

// Session is one client. Its methods are called by one goroutine.
type Session interface {
	// DoPipeline runs at least the first of cmds and appends the replies of all
	// that it ran to out. It stops early after a command that changes how
	// replies are written, or whether more commands are wanted at all.
	DoPipeline(ctx context.Context, cmds [][][]byte, out []resp.Value) []resp.Value
	// Proto is the protocol version in which the last DoPipeline's replies are written.
	Proto() int
	// Muted: the last DoPipeline's replies are not written.
	Muted() bool
	// Closing: the connection ends once the last DoPipeline's replies are written.
	Closing() bool
	// NeedsAuth: the client has a password to show first.
	NeedsAuth() bool
	Close()
}

// Memory is what a connection holds, in bytes.
type Memory struct {
	Query, QueryFree int64 // the query buffer: what is in it, and its room for more
	Args             int64 // arguments of commands that are being run, within the query buffer
	Reply            int64 // the reply buffer
	Unread, Pieces   int64 // replies kept until the client takes them, in bytes and pieces
	Total            int64 // all of it, with what the connection takes besides
}

// Tuning is the reloadable part of the listener's configuration.
type Tuning struct {
	MaxClients  int           // connections beyond it are refused
	IdleTimeout time.Duration // 0: idle connections stay
	KeepAlive   time.Duration // TCP keepalive; 0: off
}
