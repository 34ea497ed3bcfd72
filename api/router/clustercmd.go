package router

import (
	"context"
	"fmt"
	"math"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/fsm/command/queries"
	"github.com/lockstepkv/lockstep/resp"
	"github.com/lockstepkv/lockstep/store/keyslot"
)

// clusterCommands show the shards as Redis Cluster shows them.
func clusterCommands() []Command[*Router] {
	return []Command[*Router]{
		{
			Spec: command.Spec{
				Name: "cluster", Group: "cluster", Arity: -2, Since: "3.0.0",
				Flags:   command.Connection,
				Summary: "Shows the shards as Redis Cluster shows them.",
			},
			Sub: []Command[*Router]{
				{
					Spec: command.Spec{
						Name: "cluster|countkeysinslot", Group: "cluster", Arity: 3, Since: "3.0.0",
						Flags:   command.Connection | command.ClusterOnly | command.StaleOK,
						Summary: "Answers the number of keys in a slot.",
						Args:    []command.Arg{command.Integer("slot")},
					},
					Run: doClusterCountKeysInSlot,
				},
				{
					Spec: command.Spec{
						Name: "cluster|getkeysinslot", Group: "cluster", Arity: 4, Since: "3.0.0",
						Flags:   command.Connection | command.ClusterOnly | command.StaleOK,
						Summary: "Answers some keys in a slot.",
						Args:    []command.Arg{command.Integer("slot"), command.Integer("count")},
					},
					Run: doClusterGetKeysInSlot,
				},
				{
					Spec: command.Spec{
						Name: "cluster|help", Group: "cluster", Arity: 2, Since: "5.0.0",
						Flags:   command.Connection | command.ClusterOnly | command.Loading | command.StaleOK | command.Help,
						Summary: "Answers this overview.",
					},
				},
				{
					Spec: command.Spec{
						Name: "cluster|info", Group: "cluster", Arity: 2, Since: "3.0.0",
						Flags:   command.Connection | command.ClusterOnly | command.StaleOK,
						Summary: "Answers the state of the cluster.",
					},
					Run: doClusterInfo, Inline: true,
				},
				{
					Spec: command.Spec{
						Name: "cluster|keyslot", Group: "cluster", Arity: 3, Since: "3.0.0",
						Flags:   command.Connection | command.ClusterOnly | command.StaleOK,
						Summary: "Answers the slot of a key.",
						Args:    []command.Arg{command.String("key")},
					},
					Run: doClusterKeyslot, Inline: true,
				},
				{
					Spec: command.Spec{
						Name: "cluster|myid", Group: "cluster", Arity: 2, Since: "3.0.0",
						Flags:   command.Connection | command.ClusterOnly | command.StaleOK,
						Summary: "Answers the id of this node.",
					},
					Run: doClusterMyID, Inline: true,
				},
				{
					Spec: command.Spec{
						Name: "cluster|nodes", Group: "cluster", Arity: 2, Since: "3.0.0",
						Flags:   command.Connection | command.ClusterOnly | command.StaleOK,
						Summary: "Describes the nodes, one a line.",
					},
					Run: doClusterNodes, Inline: true,
				},
				{
					Spec: command.Spec{
						Name: "cluster|shards", Group: "cluster", Arity: 2, Since: "7.0.0",
						Flags:   command.Connection | command.ClusterOnly | command.StaleOK,
						Summary: "Describes the shards.",
					},
					Run: doClusterShards, Inline: true,
				},
				{
					Spec: command.Spec{
						Name: "cluster|slots", Group: "cluster", Arity: 2, Since: "3.0.0",
						Flags:   command.Connection | command.ClusterOnly | command.StaleOK,
						Summary: "Answers which nodes serve which slots.",
					},
					Run: doClusterSlots, Inline: true,
				},
			},
		},
	}
}

func doClusterMyID(r *Router, _ context.Context, _ *Session, _ command.Args) resp.Value {
	return resp.BulkString(r.node.Cluster().Self)
}

func doClusterKeyslot(_ *Router, _ context.Context, _ *Session, args command.Args) resp.Value {
	return resp.Int(int64(keyslot.Of(args[2])))
}

// HostPort splits an address as clients expect it. A node that could not be
// asked yet has none.
func HostPort(addr string) (host string, port int64) {
	host, p, err := net.SplitHostPort(addr)
	if err != nil {
		return "", 0
	}
	port, _ = strconv.ParseInt(p, 10, 64)
	return host, port
}

// nodesOf returns the nodes of a shard that clients can reach, leader first.
func nodesOf(c *ClusterInfo, sh *ShardInfo) []*NodeInfo {
	var out []*NodeInfo
	for _, id := range sh.Replicas {
		n := c.node(id)
		switch {
		case n == nil || n.RESP == "":
		case id == sh.Leader:
			out = slices.Insert(out, 0, n)
		case n.State == StateUp:
			out = append(out, n)
		}
	}
	return out
}

// doClusterSlots is CLUSTER SLOTS. Shards without a leader are left out, as in
// Redis: their slots are not served.
func doClusterSlots(r *Router, _ context.Context, _ *Session, _ command.Args) resp.Value {
	c := r.node.Cluster()
	type slotRange struct {
		first int64
		v     resp.Value
	}
	var ranges []slotRange
	for i := range c.Shards {
		sh := &c.Shards[i]
		if sh.Leader == "" {
			continue
		}
		var nodes []resp.Value
		for _, n := range nodesOf(&c, sh) {
			host, port := HostPort(n.RESP)
			nodes = append(nodes, resp.Array(resp.BulkString(host), resp.Int(port), resp.BulkString(n.ID), resp.EmptyArray))
		}
		for _, rg := range sh.Slots {
			elems := append([]resp.Value{resp.Int(int64(rg[0])), resp.Int(int64(rg[1]))}, nodes...)
			ranges = append(ranges, slotRange{int64(rg[0]), resp.Array(elems...)})
		}
	}
	slices.SortFunc(ranges, func(a, b slotRange) int { return int(a.first - b.first) })
	out := make([]resp.Value, len(ranges))
	for i, rg := range ranges {
		out[i] = rg.v
	}
	return resp.Array(out...)
}

func doClusterShards(r *Router, _ context.Context, _ *Session, _ command.Args) resp.Value {
	c := r.node.Cluster()
	var out []resp.Value
	for i := range c.Shards {
		sh := &c.Shards[i]
		var slots, nodes []resp.Value
		for _, rg := range sh.Slots {
			slots = append(slots, resp.Int(int64(rg[0])), resp.Int(int64(rg[1])))
		}
		for _, id := range sh.Replicas {
			if n := c.node(id); n != nil {
				nodes = append(nodes, shardNode(n, sh))
			}
		}
		out = append(out, resp.Map(resp.BulkString("slots"), resp.Array(slots...), resp.BulkString("nodes"), resp.Array(nodes...)))
	}
	return resp.Array(out...)
}

func shardNode(n *NodeInfo, sh *ShardInfo) resp.Value {
	role, health := "replica", "online"
	if n.ID == sh.Leader {
		role = "master"
	}
	switch n.State {
	case StateUp:
	case StateDown:
		health = "fail"
	default:
		health = "loading"
	}
	host, port := HostPort(n.RESP)
	return resp.Map(
		resp.BulkString("id"), resp.BulkString(n.ID),
		resp.BulkString("port"), resp.Int(port),
		resp.BulkString("ip"), resp.BulkString(host),
		resp.BulkString("endpoint"), resp.BulkString(host),
		resp.BulkString("role"), resp.BulkString(role),
		resp.BulkString("replication-offset"), resp.Int(int64(sh.AppliedIndex)),
		resp.BulkString("health"), resp.BulkString(health),
	)
}

// doClusterNodes is CLUSTER NODES. Every node is a master with the slots of the
// shards that it leads: it serves writes, which a replica would not.
func doClusterNodes(r *Router, _ context.Context, _ *Session, _ command.Args) resp.Value {
	c := r.node.Cluster()
	var b strings.Builder
	for _, n := range c.Nodes {
		host, port := HostPort(n.RESP)
		_, peerPort := HostPort(n.Peer)
		flags, link := "master", "connected"
		if n.ID == c.Self {
			flags = "myself,master"
		}
		switch n.State {
		case StateDown:
			flags, link = flags+",fail", "disconnected"
		case StateUnknown:
			link = "disconnected"
		}
		var epoch uint64
		var slots []string
		for _, sh := range c.Shards {
			if sh.Leader != n.ID {
				continue
			}
			epoch = max(epoch, sh.Term)
			for _, rg := range sh.Slots {
				slots = append(slots, slotText(rg))
			}
		}
		fmt.Fprintf(&b, "%s %s:%d@%d %s - 0 0 %d %s", n.ID, host, port, peerPort, flags, epoch, link)
		for _, s := range slots {
			b.WriteString(" " + s)
		}
		b.WriteByte('\n')
	}
	return resp.Verbatim(b.String())
}

func slotText(rg [2]uint16) string {
	if rg[0] == rg[1] {
		return strconv.Itoa(int(rg[0]))
	}
	return fmt.Sprintf("%d-%d", rg[0], rg[1])
}

func doClusterInfo(r *Router, _ context.Context, _ *Session, _ command.Args) resp.Value {
	c := r.node.Cluster()
	served, state := 0, "ok"
	var epoch, mine uint64
	for _, sh := range c.Shards {
		epoch = max(epoch, sh.Term)
		if sh.Leader == c.Self {
			mine = max(mine, sh.Term)
		}
		if sh.Leader == "" {
			state = "fail"
			continue
		}
		for _, rg := range sh.Slots {
			served += int(rg[1]) - int(rg[0]) + 1
		}
	}
	var b strings.Builder
	line := func(name string, v any) { fmt.Fprintf(&b, "%s:%v\r\n", name, v) }
	line("cluster_enabled", boolInt(r.cluster))
	line("cluster_state", state)
	line("cluster_slots_assigned", keyslot.Count)
	line("cluster_slots_ok", served)
	line("cluster_slots_pfail", 0)
	line("cluster_slots_fail", keyslot.Count-served)
	line("cluster_known_nodes", len(c.Nodes))
	line("cluster_size", len(c.Shards))
	line("cluster_current_epoch", epoch)
	line("cluster_my_epoch", mine)
	line("cluster_stats_messages_sent", 0)
	line("cluster_stats_messages_received", 0)
	line("total_cluster_links_buffer_limit_exceeded", 0)
	return resp.Verbatim(b.String())
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

func slotArg(arg []byte) (uint16, bool) {
	n, err := strconv.ParseUint(string(arg), 10, 64)
	return uint16(n), err == nil && n < keyslot.Count
}

func doClusterCountKeysInSlot(r *Router, ctx context.Context, s *Session, args command.Args) resp.Value {
	slot, ok := slotArg(args[2])
	if !ok {
		return resp.Err("ERR Invalid slot")
	}
	return r.readSlot(ctx, s, slot, queries.SlotCount(slot))
}

func doClusterGetKeysInSlot(r *Router, ctx context.Context, s *Session, args command.Args) resp.Value {
	slot, ok := slotArg(args[2])
	most, err := strconv.Atoi(string(args[3]))
	switch {
	case !ok, err == nil && most < 0:
		return resp.Err("ERR Invalid slot or number of keys")
	case err != nil:
		return errNotInteger
	}
	return r.readSlot(ctx, s, slot, queries.SlotKeys(slot, min(most, math.MaxInt32)))
}

// readSlot asks the shard of a slot.
func (r *Router) readSlot(ctx context.Context, s *Session, slot uint16, q *command.Single) resp.Value {
	ctx, cancel := context.WithTimeout(ctx, r.cfg.RequestTimeout)
	defer cancel()
	if _, err := r.shards[r.shardOf(slot)].Read(ctx, s.read, q.Query()); err != nil {
		return readError(err)
	}
	return q.Reply
}
