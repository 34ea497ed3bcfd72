package client

import (
	"context"
	"time"

	"github.com/lockstepkv/lockstep/jepsen/history"
	"github.com/lockstepkv/lockstep/resp"
)

// Reply is what became of a request.
type Reply struct {
	Outcome history.Outcome
	Value   resp.Value // when OK
	Err     error      // when not OK
	// Refused: a condition of the request did not hold (Outcome is Fail).
	Refused bool

	// Age and Index are what a stale read over HTTP says of itself.
	Age   time.Duration
	Index uint64
}

// AsRead is the reply to a request that changes nothing: what is not known to
// have been answered has failed.
func (r Reply) AsRead() Reply {
	if r.Outcome == history.InDoubt {
		r.Outcome = history.Fail
	}
	return r
}

// Client is a connection to one node. It is not safe for concurrent use.
type Client interface {
	// Node is the id of the node.
	Node() string
	// Protocol is "resp2", "resp3" or "http".
	Protocol() string
	// Do runs one command.
	Do(ctx context.Context, args ...string) Reply
	// Once runs one command under an idempotency id.
	Once(ctx context.Context, id string, args ...string) Reply
	// Tx runs commands as one transaction; Value has the array of their replies.
	Tx(ctx context.Context, cmds [][]string) Reply
	// Stale reads a string locally, no older than oldest unless that is 0. Value
	// is nil or the string.
	Stale(ctx context.Context, key string, oldest time.Duration) Reply
	Close()
}

// Endpoint is a node as clients find it.
type Endpoint struct {
	Node       string
	RESP, HTTP string // host:port
	Password   string
	// Timeout of a request. It should be longer than the node's own, so that
	// the node can say what happened.
	Timeout time.Duration
}

// dialTimeout is short: nodes are near, and those that are paused accept.
const dialTimeout = time.Second

// isReadCommand lists the commands of the workloads that change nothing.
func isReadCommand(name string) bool {
	switch name {
	case "GET", "LS.GET", "MGET", "EXISTS", "PTTL", "STRLEN", "DBSIZE", "KEYS":
		return true
	}
	return false
}
