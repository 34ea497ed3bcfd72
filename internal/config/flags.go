package config

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/knadh/koanf/v2"
	"github.com/spf13/pflag"

	"github.com/lockstepkv/lockstep/shard/raftlog"
	"github.com/lockstepkv/lockstep/store"
)

// Settings are the flags of `lockstep serve`, which are its environment variables and the
// keys of its file too. Each is bound to its field of a Config, which Load checks as a whole.
type Settings struct {
	Flags    *pflag.FlagSet // all of them
	Sections []Section
	Unknown  []string // environment variables that look like settings and are none; see Load

	cfg   Config
	given *koanf.Koanf // what the file and the environment say
}

// Section is a heading of docs/configuration.md with its flags.
type Section struct {
	Title string
	Flags *pflag.FlagSet
}

// New defines every flag with its default.
func New() *Settings {
	s := &Settings{Flags: newFlagSet()}
	c := &s.cfg
	s.section("Node and cluster", func(fs *pflag.FlagSet) { nodeFlags(fs, &c.Node) })
	s.section("Addresses", func(fs *pflag.FlagSet) { addressFlags(fs, c) })
	s.section("Memory", func(fs *pflag.FlagSet) { memoryFlags(fs, &c.Memory) })
	s.section("Requests", func(fs *pflag.FlagSet) { requestFlags(fs, &c.Requests) })
	s.section("Replication and reads", func(fs *pflag.FlagSet) { raftFlags(fs, &c.Raft) })
	s.section("Security", func(fs *pflag.FlagSet) { securityFlags(fs, &c.Security) })
	s.section("Log", func(fs *pflag.FlagSet) { logFlags(fs, &c.Log) })
	return s
}

func (s *Settings) section(title string, define func(*pflag.FlagSet)) {
	fs := newFlagSet()
	define(fs)
	s.Sections = append(s.Sections, Section{title, fs})
	s.Flags.AddFlagSet(fs)
}

func newFlagSet() *pflag.FlagSet {
	fs := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	fs.SortFlags = false
	return fs
}

func nodeFlags(fs *pflag.FlagSet, n *Node) {
	fs.StringVar(&n.ID, "id", "n1", "this node's id within the cluster")
	fs.StringVar(&n.DataDir, "data-dir", "lockstep-data", "directory of this node's data")
	fs.StringVar(&n.ClusterName, "cluster-name", "lockstep", "name of the cluster; nodes of other clusters are refused")
	fs.Var(members(&n.Members), "initial-cluster", "every node's id and peer address, this node included; empty: this node alone")
	fs.Var(number(&n.Shards, 1), "shards", "number of shards, fixed at the first start")
	fs.Var(Choice(&n.LogEngine, raftlog.Engines()[0], raftlog.Engines()...), "log-engine", "how the Raft log is stored, fixed at this node's first start")
}

func addressFlags(fs *pflag.FlagSet, c *Config) {
	const addr = "host:port"
	fs.Var(text(&c.Listen.HTTP, "127.0.0.1:8001", addr, CheckAddr), "http", "address for HTTP")
	fs.Var(text(&c.Listen.RESP, "127.0.0.1:7001", addr, CheckAddr), "resp", "address for the Redis protocol")
	fs.Var(text(&c.Listen.Peer, "127.0.0.1:9001", addr, CheckAddr), "peer", "address for the other nodes")
	fs.Var(text(&c.Metrics, "", addr, optional(CheckAddr)), "metrics-http", "address for /healthz, /readyz and /metrics alone, for probes: without TLS and without a password, on any network; none: they are at --http only")
	fs.Var(text(&c.Advertise.HTTP, "", addr, optional(checkAdvertised)), "advertise-http", "address for HTTP that others are told; default: that of --http, and for 0.0.0.0 the host of this node's entry in --initial-cluster")
	fs.Var(text(&c.Advertise.RESP, "", addr, optional(checkAdvertised)), "advertise-resp", "address for the Redis protocol that others are told, in -MOVED too; default: likewise, from --resp")
	fs.Var(text(&c.Advertise.Peer, "", addr, optional(checkAdvertised)), "advertise-peer", "address that the other nodes use; default and, where it is given, the same: this node's entry in --initial-cluster")
}

func memoryFlags(fs *pflag.FlagSet, m *Memory) {
	fs.Var(size(&m.MaxBytes, 0), "maxmemory", "limit of the data in memory, shared evenly by the shards; 0: none")
	fs.Var(oneOf(&m.Policy, store.NoEviction, store.PolicyNames(), store.Policies()), "maxmemory-policy", "what to evict at the limit")
	fs.Var(number(&m.Samples, store.DefaultSamples), "maxmemory-samples", "keys looked at per eviction by the approximate policies, 1 to 64")
	for l := range store.LimitCount {
		info := l.Info()
		fs.Var(limit(&m.Limits[l], info), info.Name, info.Help)
	}
}

func requestFlags(fs *pflag.FlagSet, r *Requests) {
	fs.Var(Duration(&r.Timeout, 5*time.Second), "request-timeout", "how long a request may wait for its shard before it fails; one larger than 1 MiB has a second more for each 4 MiB, as long as there is a leader")
	fs.Var(Span(&r.Drain, 0), "drain", "on SIGTERM, how long new requests are refused with an error that is definite, and /readyz answers 503, before the ports close; what has begun is answered")
	fs.Var(size(&r.MaxValueBytes, 64<<20), "max-value-size", "largest value accepted, and grown to by APPEND and SETRANGE, 1kb to 512mb; the same on every node")
	fs.Var(number(&r.MaxClients, 10_000), "maxclients", "largest number of client connections of the Redis protocol; lowered at the start, with --http-max-connections, to what the limit of open files (RLIMIT_NOFILE) leaves room for")
	fs.Var(number(&r.MaxHTTPConns, 4096), "http-max-connections", "largest number of connections for HTTP; one without a request makes room for a new one, else that is answered 503")
	fs.Var(Duration(&r.HTTPStall, 30*time.Second), "http-stall-timeout", "how long 16 KiB of an HTTP body, or the rest of it, may take to come, and 64 KiB of an answer to be read")
	fs.Var(size(&r.OutputBytes, 128<<20), "client-output-limit", "how much of the replies is kept for a client of the Redis protocol that has not read them yet, twice as much for all together; then the client is waited for, and cut off when it reads nothing for 10 s")
	fs.Var(share(&r.ClientMemory, 1<<30), "maxmemory-clients", "memory that all clients of a node may hold together: requests, commands queued by MULTI, watched keys, replies that are not read; beyond it the clients that hold most are closed, and requests over HTTP refused; bytes, or as 5% of --maxmemory; at least twice --max-value-size; 0: no limit")
	fs.Var(oneOf(&r.RedirectMoved, true, []string{"moved", "forward"}, []bool{true, false}), "redirect", "with several shards: answer -MOVED as Redis Cluster does, or forward for clients that do not know it")
	fs.Var(Choice(&r.ClusterProtocol, "auto", "auto", "on", "off"), "cluster-protocol", "whether clients see a node of a Redis Cluster (CLUSTER SLOTS and the like) or a plain Redis; auto: a cluster with several shards only; off with several shards needs --redirect forward")
	fs.BoolVar(&r.AllowCrossShard, "allow-cross-shard", false, "let MGET, MSET, DEL, EXISTS, UNLINK and TOUCH span shards, atomic per shard only; over the Redis protocol with --redirect forward only, over HTTP always")
	fs.Var(Duration(&r.OnceRetention, 10*time.Minute), "once-retention", "how long the outcome of a request with an idempotency key is kept; the key itself is refused for half an hour more")
	fs.Var(size(&r.OnceBytes, 512<<20), "once-memory", "memory of a node for idempotency keys and their outcomes, shared evenly by the shards; when it is used up new keys are refused; the same on every node")
	fs.Var(slowlog(&r.SlowlogThreshold, 10*time.Millisecond), "slowlog-log-slower-than", "commands slower than this enter the slow log; 0: all, -1: none")
}

func raftFlags(fs *pflag.FlagSet, r *Raft) {
	fs.Var(oneOf(&r.LeaseReads, false, []string{"quorum", "lease"}, []bool{false, true}), "read-mode", "how linearizable reads are confirmed: a round to a quorum each time, or a lease; the same on every node")
	fs.Var(Duration(&r.LeaseDuration, 250*time.Millisecond), "lease-duration", "how long one confirmed round serves reads, and how long a new leader stays silent; the same on every node")
	fs.Var(Duration(&r.HeartbeatTimeout, 300*time.Millisecond), "heartbeat-timeout", "silence of the leader after which another is elected: once to twice this, half when its connections are lost")
	fs.Var(Duration(&r.ElectionTimeout, 300*time.Millisecond), "election-timeout", "how long a candidate waits for votes before it tries again, at least five times --heartbeat-timeout")
	fs.Var(size(&r.SnapshotLogBytes, 128<<20), "snapshot-log-bytes", "size of a shard's log after which it is compacted into a snapshot; followers begin at three quarters of it, one that lets others go first at half as much again at the latest")
	fs.Var(size(&r.LogCacheBytes, 16<<20), "log-cache", "memory of a node for the newest log entries, which followers are sent from it, for all shards together and shared by use; 0: none")
	fs.Var(Duration(&r.MaxClockOffset, 500*time.Millisecond), "max-clock-offset", "a node whose clock is further from a quorum's gives leadership away")
	fs.Var(Span(&r.AuditInterval, 10*time.Minute), "audit-interval", "time between two readings of all data in memory, whose results the replicas compare; 0: never")
	fs.Var(Duration(&r.DiskStallTimeout, 30*time.Second), "disk-stall-timeout", "a write to disk that lasts longer counts as a failed disk, and ends the node; one that lasts longer than twice --heartbeat-timeout costs it its leaderships")
	fs.Var(size(&r.DiskReserve, 256<<20), "disk-reserve", "free bytes of the data directory's disk below which writes that grow are refused; below a quarter of it only what frees is logged; 0: off")
}

func securityFlags(fs *pflag.FlagSet, s *Security) {
	fs.StringVar(&s.Password, "requirepass", "", "password for clients (AUTH; HTTP basic or bearer); better given by --requirepass-file")
	fs.StringVar(&s.PasswordFile, "requirepass-file", "", "file of the password for clients, read again when it changes; a second line is the old password, valid as well while clients change")
	fs.Var(names(&s.AllowedHosts, "host,...", checkHost), "http-allowed-hosts", "names, besides IP addresses and localhost, that HTTP requests may have as Host while no password is set")
	fs.Var(Duration(&s.AuthTimeout, 30*time.Second), "auth-timeout", "how long a client of the Redis protocol may take to show its certificate and its password; HTTP gives the header of a request as long, at most 10s")
	fs.StringVar(&s.ClientTLS.Cert, "tls-cert", "", "PEM certificate for clients' connections")
	fs.StringVar(&s.ClientTLS.Key, "tls-key", "", "PEM key of --tls-cert")
	fs.StringVar(&s.ClientTLS.CA, "tls-ca", "", "PEM authorities; when given, clients must show a certificate of theirs")
	fs.StringVar(&s.PeerTLS.Cert, "tls-peer-cert", "", "PEM certificate of this node for the other nodes: it names the host of the node's peer address, or its id, and is for server and client use")
	fs.StringVar(&s.PeerTLS.Key, "tls-peer-key", "", "PEM key of --tls-peer-cert")
	fs.StringVar(&s.PeerTLS.CA, "tls-peer-ca", "", "PEM authorities that sign the nodes' certificates")
	fs.Var(names(&s.PeerNames, "name,...", checkCertificateName), "tls-peer-allowed-names", "names, separated by commas, of which any node's certificate may have one instead of its host or id")
	fs.StringVar(&s.PeerSecret, "peer-secret-file", "", "file of a secret of 32 random bytes or more, the same on every node, by which nodes know each other; two on a line each while it is replaced; not readable by others; read again when it changes")
	fs.BoolVar(&s.InsecurePeers, "insecure-peers", false, "let nodes come in without TLS or a secret though a password is set or the peer address is not loopback (a trusted network)")
}

func logFlags(fs *pflag.FlagSet, l *Log) {
	fs.Var(logLevel(&l.Level, slog.LevelInfo), "log-level", "what the node writes to standard error")
	fs.Var(oneOf(&l.JSON, false, []string{"text", "json"}, []bool{false, true}), "log-format", "form of the log")
}

// Mistake is a setting that is wrong or does not fit another one.
func Mistake(flag, format string, args ...any) error {
	return fmt.Errorf("--%s: %s", flag, fmt.Sprintf(format, args...))
}
