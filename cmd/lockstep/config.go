package main

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/lockstepkv/lockstep/transport"
)

// Config is everything that `lockstep serve` was told, checked. It never changes
// after loadConfig.
type Config struct {
	Node      NodeConfig
	Listen    ListenConfig
	Metrics   string       // address of a listener for probes; empty: none
	Advertise ListenConfig // what others are told; empty: see advertised
	Memory    MemoryConfig
	Raft      RaftConfig
	Requests  RequestConfig
	Security  SecurityConfig
	Log       LogConfig
}

// NodeConfig is who the node is. It is fixed at the first start on a data directory.
type NodeConfig struct {
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

// ListenConfig holds the addresses that the node listens on, as host:port.
type ListenConfig struct {
	HTTP string
	RESP string
	Peer string
}

// MemoryConfig bounds the data of the whole node; shards share it evenly.
type MemoryConfig struct {
	MaxBytes int64 // 0 is no limit
	Policy   string
	Samples  int
}

// RaftConfig is about the replication groups.
type RaftConfig struct {
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

// RequestConfig is about what clients may ask for.
type RequestConfig struct {
	Timeout          time.Duration
	Drain            time.Duration // how long new requests are refused before the listeners close
	MaxValueBytes    int64
	MaxClients       int
	MaxHTTPConns     int
	HTTPStall        time.Duration
	OutputBytes      int64
	ClientBytes      int64  // memory that all clients may hold; 0: no limit
	ClientPercent    int    // ClientBytes is that many percent of maxmemory; 0: it is not
	RedirectMoved    bool   // --redirect moved; has an effect with more than one shard only
	ClusterProtocol  string // "auto", "on" or "off"
	AllowCrossShard  bool
	OnceRetention    time.Duration
	OnceBytes        int64
	SlowlogThreshold time.Duration // negative: the slow log is off
}

// SecurityConfig holds secrets and where certificates are.
type SecurityConfig struct {
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

// LogConfig is how the node writes its own log.
type LogConfig struct {
	Level slog.Level
	JSON  bool
}

// MemberMap is Members as id -> peer address.
func (n NodeConfig) MemberMap() map[string]string {
	m := make(map[string]string, len(n.Members))
	for _, member := range n.Members {
		m[member.ID] = member.PeerAddr
	}
	return m
}

func (s SecurityConfig) hasPassword() bool { return s.Password != "" || s.PasswordFile != "" }

// peerNames are those of which this node's certificate must have one.
func (c Config) peerNames() []string {
	return transport.CertificateNames(c.Node.ID, c.Node.MemberMap()[c.Node.ID], c.Security.PeerNames)
}

// LogValue keeps the password out of logs.
func (s SecurityConfig) LogValue() slog.Value {
	return slog.GroupValue(
		slog.Bool("password", s.hasPassword()),
		slog.Bool("client_tls", s.ClientTLS.Enabled()),
		slog.Bool("peer_tls", s.PeerTLS.Enabled()),
		slog.Bool("peer_secret", s.PeerSecret != ""),
	)
}

// String keeps the password out of %v.
func (s SecurityConfig) String() string {
	return fmt.Sprintf("{password:%t client_tls:%t peer_tls:%t peer_secret:%t}",
		s.hasPassword(), s.ClientTLS.Enabled(), s.PeerTLS.Enabled(), s.PeerSecret != "")
}
