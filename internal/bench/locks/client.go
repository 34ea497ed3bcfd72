package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	lockstep "github.com/lockstepkv/lockstep/client"
	"github.com/lockstepkv/lockstep/resp"
)

// patience bounds every wait for a reply.
const patience = time.Minute

// client is a connection to a node.
type client struct {
	conn *lockstep.Conn
	out  []byte
}

func dial(addr string) (*client, error) {
	conn, err := lockstep.Dial(context.Background(), addr, lockstep.Options{DialTimeout: 5 * time.Second, Timeout: patience})
	if err != nil {
		return nil, err
	}
	return &client{conn: conn}, nil
}

// dialAll opens n connections, spread evenly over the nodes.
func dialAll(endpoints []string, n int) ([]*client, error) {
	list := make([]*client, n)
	for i := range list {
		var err error
		if list[i], err = dial(endpoints[i%len(endpoints)]); err != nil {
			return nil, err
		}
	}
	return list, nil
}

func closeAll(list []*client) {
	for _, c := range list {
		_ = c.conn.Close()
	}
}

// send sends a command whose reply is read later.
func (c *client) send(args ...string) error {
	raw := make([][]byte, len(args))
	for i, a := range args {
		raw[i] = []byte(a)
	}
	c.out = resp.AppendCommand(c.out[:0], raw)
	return c.conn.Send(context.Background(), c.out)
}

func (c *client) do(args ...string) (resp.Value, error) {
	return c.conn.Do(context.Background(), args...)
}

func millis(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

// grant reads the reply to LOCK.
func (c *client) grant() (token string, fence int64, err error) {
	v, err := c.conn.Receive(context.Background())
	switch {
	case err != nil:
		return "", 0, err
	case v.IsError():
		return "", 0, fmt.Errorf("the server answers %s", v.Str)
	case len(v.Elems) != 2:
		return "", 0, fmt.Errorf("a lock was not got")
	}
	return string(v.Elems[0].Str), v.Elems[1].Int, nil
}

func (c *client) lock(name string, ttl time.Duration) (token string, err error) {
	if err := c.send("LOCK", name, millis(ttl)); err != nil {
		return "", err
	}
	token, _, err = c.grant()
	return token, err
}

// yes sends a command that must be answered with 1.
func (c *client) yes(args ...string) error {
	v, err := c.do(args...)
	if err == nil && v.Int != 1 {
		err = fmt.Errorf("%s %s was answered with %d", args[0], args[1], v.Int)
	}
	return err
}
