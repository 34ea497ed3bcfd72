package client

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/lockstepkv/lockstep/resp"
	"github.com/lockstepkv/lockstep/store/keyslot"
)

// Slots says which node serves a key over the Redis protocol. It does not change; after
// a MOVED a new one is loaded.
type Slots struct {
	// Addrs are the host:port of nodes: of all leaders, or, where every node serves
	// every key, those that were given.
	Addrs []string
	owner []uint16 // slot -> index into Addrs; nil: any address serves every key
}

// Sharded reports whether nodes serve different keys.
func (s *Slots) Sharded() bool { return s.owner != nil }

// NodeOf returns the index into Addrs of the node that serves a key; fallback, modulo
// their number, where every node does.
func (s *Slots) NodeOf(key []byte, fallback int) int {
	if s.owner == nil {
		return fallback % len(s.Addrs)
	}
	return int(s.owner[keyslot.Of(key)])
}

// LoadSlots asks the first of the nodes that answers. Errors: those of each node,
// joined; CodeNoLeader while slots have no leader.
func LoadSlots(ctx context.Context, addrs []string, o Options) (*Slots, error) {
	var failures []error
	for _, addr := range addrs {
		conn, err := Dial(ctx, addr, o)
		if err != nil {
			failures = append(failures, err)
			continue
		}
		s, err := conn.Slots(ctx, addrs)
		_ = conn.Close()
		if err == nil {
			return s, nil
		}
		failures = append(failures, fmt.Errorf("%s: %w", addr, err))
	}
	return nil, errors.Join(failures...)
}

// Slots asks the node of this connection. What it answers when it is not one of a
// Redis Cluster is that any of addrs serves every key.
func (c *Conn) Slots(ctx context.Context, addrs []string) (*Slots, error) {
	info, err := c.Do(ctx, "INFO", "cluster")
	if err != nil {
		return nil, err
	}
	if !strings.Contains(string(info.Str), "cluster_enabled:1") {
		return &Slots{Addrs: addrs}, nil
	}
	slots, err := c.Do(ctx, "CLUSTER", "SLOTS")
	if err != nil {
		return nil, err
	}
	return parseSlots(c.addr, slots)
}

// parseSlots reads the reply of CLUSTER SLOTS: [first, last, [host, port, ...], ...]...
func parseSlots(node string, v resp.Value) (*Slots, error) {
	bad := func(format string, args ...any) error {
		return &Error{Code: CodeBadAnswer, Outcome: NotApplied, Node: node, Err: fmt.Errorf("CLUSTER SLOTS: "+format, args...)}
	}
	s := &Slots{owner: make([]uint16, keyslot.Count)}
	covered := 0
	for _, e := range v.Elems {
		if len(e.Elems) < 3 || len(e.Elems[2].Elems) < 2 {
			return nil, bad("unexpected reply")
		}
		first, last := e.Elems[0].Int, e.Elems[1].Int
		if first < 0 || last < first || last >= keyslot.Count {
			return nil, bad("slots %d to %d", first, last)
		}
		addr := net.JoinHostPort(string(e.Elems[2].Elems[0].Str), strconv.FormatInt(e.Elems[2].Elems[1].Int, 10))
		at := slices.Index(s.Addrs, addr)
		if at < 0 {
			at = len(s.Addrs)
			s.Addrs = append(s.Addrs, addr)
		}
		for slot := first; slot <= last; slot++ {
			s.owner[slot] = uint16(at)
			covered++
		}
	}
	if covered != keyslot.Count {
		return nil, &Error{Code: CodeNoLeader, Outcome: NotApplied, Node: node,
			Err: fmt.Errorf("%d of %d slots have no leader", keyslot.Count-covered, keyslot.Count)}
	}
	return s, nil
}
