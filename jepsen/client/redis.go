package client

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	lockstep "github.com/lockstepkv/lockstep/client"
	"github.com/lockstepkv/lockstep/jepsen/history"
	"github.com/lockstepkv/lockstep/resp"
)

// Redis is a connection of the Redis protocol. It is made when it is needed, and
// given up after the first request that got no proper answer.
type Redis struct {
	end   Endpoint
	proto int
	conn  *lockstep.Conn
}

var _ Client = (*Redis)(nil)

// NewRedis returns a client that speaks RESP2 or RESP3.
func NewRedis(end Endpoint, proto int) *Redis { return &Redis{end: end, proto: proto} }

// Node implements Client.
func (c *Redis) Node() string { return c.end.Node }

// Protocol implements Client.
func (c *Redis) Protocol() string { return "resp" + strconv.Itoa(c.proto) }

// Close implements Client.
func (c *Redis) Close() {
	if c.conn != nil {
		_ = c.conn.Close() // nothing is waiting on it
		c.conn = nil
	}
}

// connect returns an error only while no request has been sent.
func (c *Redis) connect(ctx context.Context) error {
	if c.conn != nil {
		return nil
	}
	conn, err := lockstep.Dial(ctx, c.end.RESP, lockstep.Options{
		Password: c.end.Password, Version: c.proto, DialTimeout: dialTimeout, Timeout: c.end.Timeout,
	})
	var refused resp.Error
	if errors.As(err, &refused) {
		return fmt.Errorf("HELLO: %w", ofReply(resp.Err(string(refused))).Err)
	}
	c.conn = conn
	return err
}

// Do implements Client.
func (c *Redis) Do(ctx context.Context, args ...string) Reply {
	if err := c.connect(ctx); err != nil {
		return Reply{Outcome: history.Fail, Err: err}
	}
	// The end of a workload does not end its requests: their outcomes are wanted.
	v, err := c.conn.Exchange(context.WithoutCancel(ctx), args...)
	if err != nil {
		c.Close()
		r := Reply{Outcome: history.InDoubt, Err: fmt.Errorf("%s: no answer: %w", args[0], err)}
		if isReadCommand(args[0]) {
			r = r.AsRead()
		}
		return r
	}
	return ofReply(v)
}

// Once implements Client.
func (c *Redis) Once(ctx context.Context, id string, args ...string) Reply {
	return c.Do(ctx, append([]string{"ONCE", id}, args...)...)
}

// errNotQueued: the commands of a transaction were not all accepted.
var errNotQueued = errors.New("a command was not queued")

// Tx implements Client. Until EXEC is sent nothing can have happened, whatever
// goes wrong.
func (c *Redis) Tx(ctx context.Context, cmds [][]string) Reply {
	steps := append([][]string{{"MULTI"}}, cmds...)
	for _, step := range steps {
		r := c.Do(ctx, step...)
		if r.Outcome != history.OK {
			c.Close() // the server forgets the transaction with the connection
			return Reply{Outcome: history.Fail, Err: fmt.Errorf("%w: %s: %w", errNotQueued, step[0], r.Err)}
		}
	}
	return c.Exec(ctx)
}

// Exec ends a transaction. A nil reply means that a watched key had changed.
func (c *Redis) Exec(ctx context.Context) Reply {
	if c.conn == nil {
		return Reply{Outcome: history.Fail, Err: errNotQueued}
	}
	r := c.Do(ctx, "EXEC")
	if r.Outcome == history.OK && r.Value.IsNil() {
		return Reply{Outcome: history.Fail, Refused: true, Err: errors.New("a watched key has changed")}
	}
	return r
}

// Stale implements Client, by a connection in the state READONLY; the answer
// has no age, and max cannot be told.
func (c *Redis) Stale(ctx context.Context, key string, _ time.Duration) Reply {
	if r := c.Do(ctx, "READONLY").AsRead(); r.Outcome != history.OK {
		return r
	}
	r := c.Do(ctx, "GET", key).AsRead()
	if c.conn != nil {
		if back := c.Do(ctx, "READWRITE"); back.Outcome != history.OK {
			c.Close()
		}
	}
	return r
}
