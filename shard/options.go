package shard

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/hashicorp/raft"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/internal/clock"
	"github.com/lockstepkv/lockstep/shard/raftlog"
	"github.com/lockstepkv/lockstep/shard/view"
	"github.com/lockstepkv/lockstep/transport"
)

// Member is one node of the cluster.
type Member struct {
	ID   string
	Peer string // host:port for other nodes
}

// LogStore keeps the log and the stable values of a replica; *raftlog.Store is one,
// and says what the methods must do.
type LogStore interface {
	raft.LogStore
	raft.StableStore
	raft.MonotonicLogStore
	NewestCommand(index uint64) uint64
	BytesAfter(index uint64) int64
	TrailingWithin(maxBytes int64) uint64
	CacheHeld() int64
	CacheDamaged() uint64
	Close() error
}

// Options configure a node's share of the cluster.
//
// 44 fields: they are set in one place, where a node is put together.
type Options struct {
	NodeID      string
	ClusterName string
	Members     []Member // this node included; the same list on every node
	Shards      int
	// View is what the node knows of the cluster. Nil: that all Members have a replica of
	// each shard, with the slots where the ring places them.
	View      *view.Current
	DataDir   string
	LogEngine string // one of raftlog.Engines

	// Version and Limits are told to the other nodes, which show where they differ.
	Version string
	Limits  func() map[string]string // those in force; nil: none

	HTTPAddr string // where clients reach this node, told to the other nodes
	RESPAddr string
	PeerAddr string // this node's own, to be shown; empty: as in Members

	PeerNames []string // accepted in the certificate of any peer, beside its host and its id

	Listener net.Listener       // the peer port
	PeerTLS  func() *tls.Config // asked with each connection; nil: plain TCP
	Secrets  func() [][]byte    // known to all nodes of the cluster, see transport.Options; nil: none
	Faults   *transport.Faults

	// Dial and OpenLog replace the network and the disk of the log, for simulations;
	// nil is the real one.
	Dial    func(ctx context.Context, addr string) (net.Conn, error)
	OpenLog func(raftlog.Options) (LogStore, error)
	// DiskFree tells the free bytes of the disk, for tests; nil asks the file system.
	DiskFree func() (int64, error)

	lookEvery time.Duration // how often the free bytes are looked at; 0: roomEvery

	// Unverified lets snapshots be written without asking the other replicas, for tests of
	// what is in them.
	Unverified bool

	Clock clock.Clock

	Table  *command.Table
	Memory Memory

	HeartbeatTimeout time.Duration
	ElectionTimeout  time.Duration
	LeaseDuration    time.Duration // 0: every read is confirmed by a quorum
	OnceRetention    time.Duration
	OnceBytes        int64 // for all shards of a node together; 0: the default
	MaxClockOffset   time.Duration
	DiskStallTimeout time.Duration
	DiskReserve      int64         // free bytes of the disk below which nothing may grow; 0: off
	AuditInterval    time.Duration // between readings of all data, to be compared; 0: never
	LogCacheBytes    int64         // of the newest log entries, for all shards of a node together; 0: none
	SnapshotLogBytes int64         // log written since the last snapshot that makes another one due
	MaxValueBytes    int64         // how long a value may grow while this node leads; 0: Redis's own limit
	MaxWaitingBytes  int64         // requests that may wait on this node per shard

	Logger  *slog.Logger
	Metrics prometheus.Registerer

	// OnStart is told what Open waits for, each time that changes.
	OnStart func(what string)

	// OnMemory is told when another node's memory setting takes effect here; current returns
	// what is in force when it is called, which may be later still.
	OnMemory func(current func() Memory)

	// Fatal is called once when this node cannot go on safely, for instance
	// because its disk hangs. It should end the process.
	Fatal func(error)

	// Boot is this node's boot counter; Open fills it in from the metadata.
	Boot uint64
}

func (o *Options) view() *view.Current {
	if o.View != nil {
		return o.View
	}
	peers := make([]view.Peer, len(o.Members))
	for i, m := range o.Members {
		peers[i] = view.Peer{ID: m.ID, Addr: m.Peer}
	}
	return view.NewCurrent(view.Whole(peers, o.Shards))
}

func (o *Options) identity() Identity {
	members := make(map[string]string, len(o.Members))
	for _, m := range o.Members {
		members[m.ID] = m.Peer
	}
	return Identity{
		ClusterName: o.ClusterName, NodeID: o.NodeID, Members: members,
		Shards: o.Shards, LogEngine: o.LogEngine,
	}
}

func (o *Options) validate() error {
	switch {
	case o.Table == nil || o.Clock == nil || o.Logger == nil || o.Metrics == nil || o.Fatal == nil:
		return fmt.Errorf("shard: incomplete options")
	case o.HeartbeatTimeout < 20*time.Millisecond || o.ElectionTimeout < o.HeartbeatTimeout:
		return fmt.Errorf("shard: heartbeat timeout %v and election timeout %v: the first must be at least 20ms, the second no shorter",
			o.HeartbeatTimeout, o.ElectionTimeout)
	}
	return nil
}

func (o *Options) openLog(lo raftlog.Options) (LogStore, error) {
	if o.OpenLog != nil {
		return o.OpenLog(lo)
	}
	return raftlog.Open(lo)
}
