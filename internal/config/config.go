package config

import (
	"log/slog"
	"strconv"
	"time"

	"github.com/lockstepkv/lockstep/internal/bytesize"
	"github.com/lockstepkv/lockstep/store"
	"github.com/lockstepkv/lockstep/transport"
)

// Config is everything that `lockstep serve` was told, checked. It never changes
// after Settings.Load.
type Config struct {
	Node      Node
	Listen    Listen
	Metrics   string // address of a listener for probes; empty: none
	Advertise Listen // what others are told; empty: see Advertised
	Memory    Memory
	Raft      Raft
	Requests  Requests
	Security  Security
	Log       Log
}

// Node is who the node is. It is fixed at the first start on a data directory.
type Node struct {
	ID          string
	DataDir     string
	ClusterName string
	Members     []Member // ordered by id, this node included
	Shards      int
	LogEngine   string // "wal" or "bolt"
}

// Member is one node of the cluster.
type Member struct {
	ID       string
	PeerAddr string
}

// Listen holds the addresses that the node listens on, as host:port.
type Listen struct {
	HTTP string
	RESP string
	Peer string
}

// Memory bounds the data of the whole node; shards share it evenly.
type Memory struct {
	MaxBytes int64 // 0 is no limit
	Policy   store.Policy
	Samples  int
	Limits   store.Limits // up to which sizes values are packed
}

// Raft is about the replication groups.
type Raft struct {
	HeartbeatTimeout time.Duration
	ElectionTimeout  time.Duration
	SnapshotLogBytes int64 // log bytes after which a shard takes a snapshot
	LogCacheBytes    int64 // memory for the newest log entries of all shards; 0: none
	DiskStallTimeout time.Duration
	DiskReserve      int64 // 0: off
	MaxClockOffset   time.Duration
	AuditInterval    time.Duration // 0: never
	LeaseReads       bool          // --read-mode lease
	LeaseDuration    time.Duration
}

// Requests is about what clients may ask for.
type Requests struct {
	Timeout          time.Duration
	Drain            time.Duration // how long new requests are refused before the listeners close
	MaxValueBytes    int64
	MaxClients       int
	MaxHTTPConns     int
	HTTPStall        time.Duration
	OutputBytes      int64
	ClientMemory     Share  // that all clients may hold, of maxmemory; 0: no limit
	RedirectMoved    bool   // --redirect moved; has an effect with more than one shard only
	ClusterProtocol  string // "auto", "on" or "off"
	AllowCrossShard  bool
	OnceRetention    time.Duration
	OnceBytes        int64
	SlowlogThreshold time.Duration // negative: the slow log is off
}

// Share is a number of bytes, given as such or as percent of something.
type Share struct {
	Bytes   int64
	Percent int // Bytes is that many percent; 0: it is not
}

// String is the share as it was given.
func (s Share) String() string {
	if s.Percent > 0 {
		return strconv.Itoa(s.Percent) + "%"
	}
	return bytesize.Format(s.Bytes)
}

// Security holds secrets and where certificates are.
type Security struct {
	Password      string
	PasswordFile  string
	AuthTimeout   time.Duration
	ClientTLS     TLSFiles // HTTP and Redis protocol; CA set: clients must show a certificate
	PeerTLS       TLSFiles // between nodes, always mutual
	PeerSecret    string   // file; empty: none
	PeerNames     []string // accepted in the certificate of any node
	InsecurePeers bool
	AllowedHosts  []string // of HTTP requests while there is no password
}

// TLSFiles names PEM files.
type TLSFiles struct{ Cert, Key, CA string }

// Enabled reports whether TLS was asked for.
func (f TLSFiles) Enabled() bool { return f.Cert != "" }

// Log is how the node writes its own log.
type Log struct {
	Level slog.Level
	JSON  bool
}

// MemberMap is Members as id -> peer address.
func (n Node) MemberMap() map[string]string {
	m := make(map[string]string, len(n.Members))
	for _, member := range n.Members {
		m[member.ID] = member.PeerAddr
	}
	return m
}

// HasPassword reports whether clients must show one.
func (s Security) HasPassword() bool { return s.Password != "" || s.PasswordFile != "" }

// CertificateNames are those of which this node's certificate must have one.
func (c Config) CertificateNames() []string {
	return transport.CertificateNames(c.Node.ID, c.Node.MemberMap()[c.Node.ID], c.Security.PeerNames)
}

// LogValue keeps the password out of logs.
func (s Security) LogValue() slog.Value {
	return slog.GroupValue(
		slog.Bool("password", s.HasPassword()),
		slog.Bool("client_tls", s.ClientTLS.Enabled()),
		slog.Bool("peer_tls", s.PeerTLS.Enabled()),
		slog.Bool("peer_secret", s.PeerSecret != ""),
	)
}

// String keeps the password out of %v.
func (s Security) String() string { return s.LogValue().String() }
