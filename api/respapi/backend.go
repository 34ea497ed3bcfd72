package respapi

import (
	"context"
	"time"

	"github.com/lockstepkv/lockstep/api/clientmem"
	"github.com/lockstepkv/lockstep/resp"
)

// Backend is what the listener needs of the part that runs commands. FromRouter
// makes one.
type Backend interface {
	// Open starts the session of a client.
	Open(remoteAddr, localAddr string, peer Peer) Session
	// Clients returns the number of open sessions.
	Clients() int
	// Tuning returns the settings that may change while the server runs.
	Tuning() Tuning
	CountRejectedConnection()
	CountNetwork(in, out int64)
	// CountOutputCut counts a client that was cut off since it did not read its replies.
	CountOutputCut()
}

// Peer is a client's connection as its session sees it.
type Peer interface {
	// Kill closes the connection without waiting. Safe from any goroutine.
	Kill()
	// Gone reports whether the client has closed its end. It is for the goroutine that
	// runs DoPipeline, meanwhile.
	Gone() bool
	// Push has the client told what it has not asked for now: encoded replies, which do
	// not change any more, so that many clients may be told the same bytes. It does not
	// wait. What is pushed before a DoPipeline returns is read before the replies of that;
	// else it comes at once, between any two replies. False: the connection is at its end,
	// or is cut now because the client does not read. Safe from any goroutine.
	Push(encoded []byte) bool
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
	// Memory is where the connection counts what it holds. Close closes it.
	Memory() *clientmem.Account
	Close()
}

// Tuning is the reloadable part of the listener's configuration.
type Tuning struct {
	MaxClients  int           // connections beyond it are refused
	IdleTimeout time.Duration // 0: idle connections stay
	KeepAlive   time.Duration // TCP keepalive; 0: off
	OutputLimit int64         // of replies kept for one client, twice that for all; 0: as in Options
}

// PushLimits bound what a client is told unasked and does not read, as Redis's
// client-output-buffer-limit does for the class pubsub: at Hard bytes it is cut off, and
// when it has had Soft bytes all the time for longer than For. 0 is no such limit.
type PushLimits struct {
	Hard, Soft int64
	For        time.Duration
}
