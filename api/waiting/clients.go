package waiting

import (
	"context"
	"sync"
	"time"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/fsm/wait"
	"github.com/lockstepkv/lockstep/resp"
)

// Shard is what a blocked client needs of a shard: part of the router's.
type Shard interface {
	Propose(ctx context.Context, b command.Batch) ([]resp.Value, error)
	Read(ctx context.Context, opt command.ReadOptions, q command.Query) (command.ReadInfo, error)
	// Watch follows what happens at a topic. The channel is closed when events may
	// have been missed.
	Watch(topic wait.Topic) (events <-chan wait.Event, stop func())
}

// Client is a client that blocks, as its connection knows it. Owner and Wrote are safe from
// any goroutine.
type Client interface {
	// Owner is to whom counts what a state machine keeps for the client.
	Owner() string
	// Wrote notes the log index of something that the client has written; 0: none.
	Wrote(index uint64)
	// Gone reports whether the client has closed its end, as far as that can be known.
	Gone() bool
	// HangUp ends the connection of a client that is gone.
	HangUp()
}

// Config is fixed for the life of Clients.
type Config struct {
	RequestTimeout time.Duration // of one request to a shard
	// Failed is the reply for a failed proposal of args: INDOUBT unless nothing happened.
	Failed   func(ctx context.Context, c Client, sh Shard, args command.Args, err error) resp.Value
	Stopping <-chan struct{} // closed when nobody is to wait any longer
}

// Clients are the blocked clients of a node. Safe for concurrent use.
type Clients struct {
	cfg        Config
	background sync.WaitGroup // what goes on when its client is gone
}

// New returns Clients of which none is blocked.
func New(cfg Config) *Clients { return &Clients{cfg: cfg} }

// Wait returns when nothing goes on for clients that are gone. It is called once
// no client is left, before the shards stop.
func (c *Clients) Wait() { c.background.Wait() }
