package main

import (
	"fmt"
	"time"

	"github.com/spf13/pflag"

	"github.com/lockstepkv/lockstep/shard/raftlog"
	"github.com/lockstepkv/lockstep/store"
)

// settings are the raw values of the flags of `lockstep serve`. build checks
// them as a whole and turns them into a Config.
type settings struct {
	node struct {
		id          string
		dataDir     string
		clusterName string
		members     membersValue
		shards      intValue
		logEngine   choiceValue
	}
	listen struct {
		http, resp, peer addrValue
		metrics          optionalAddrValue
	}
	advertise struct{ http, resp, peer advertiseValue }
	memory    struct {
		max     sizeValue
		policy  choiceValue
		samples intValue
	}
	raft struct {
		heartbeat, election, stall, clockOffset, lease durationValue
		audit                                          spanValue
		snapshotLogBytes, logCache, diskReserve        sizeValue
		readMode                                       choiceValue
	}
	requests struct {
		timeout, onceRetention durationValue
		drain                  spanValue
		maxValue, onceMemory   sizeValue
		output                 sizeValue
		clientMemory           sizeOrPercentValue
		maxClients, maxHTTP    intValue
		httpStall              durationValue
		redirect, cluster      choiceValue
		crossShard             bool
		slowlog                slowlogValue
	}
	security struct {
		password      string
		passwordFile  string
		authTimeout   durationValue
		client, peer  TLSFiles
		peerSecret    string
		peerNames     namesValue
		insecurePeers bool
		allowedHosts  hostsValue
	}
	log struct{ level, format choiceValue }

	flags    *pflag.FlagSet // all of them
	sections []configSection
}

// configSection is a heading of docs/configuration.md with its flags.
type configSection struct {
	title string
	flags *pflag.FlagSet
}

// newSettings defines every flag with its default.
func newSettings() *settings {
	s := &settings{flags: newFlagSet()}
	s.sections = []configSection{
		{"Node and cluster", s.nodeFlags()},
		{"Addresses", s.listenFlags()},
		{"Memory", s.memoryFlags()},
		{"Requests", s.requestFlags()},
		{"Replication and reads", s.raftFlags()},
		{"Security", s.securityFlags()},
		{"Log", s.logFlags()},
	}
	for _, section := range s.sections {
		s.flags.AddFlagSet(section.flags)
	}
	return s
}

func (s *settings) nodeFlags() *pflag.FlagSet {
	fs := newFlagSet()
	fs.StringVar(&s.node.id, "id", "n1", "this node's id within the cluster")
	fs.StringVar(&s.node.dataDir, "data-dir", "lockstep-data", "directory of this node's data")
	fs.StringVar(&s.node.clusterName, "cluster-name", "lockstep", "name of the cluster; nodes of other clusters are refused")
	fs.Var(&s.node.members, "initial-cluster", "every node's id and peer address, this node included; empty: this node alone")
	s.node.shards = 1
	fs.Var(&s.node.shards, "shards", "number of shards, fixed at the first start")
	s.node.logEngine = choiceValue{raftlog.Engines()[0], raftlog.Engines()}
	fs.Var(&s.node.logEngine, "log-engine", "how the Raft log is stored, fixed at this node's first start")
	return fs
}

func (s *settings) listenFlags() *pflag.FlagSet {
	fs := newFlagSet()
	s.listen.http, s.listen.resp, s.listen.peer = "127.0.0.1:8001", "127.0.0.1:7001", "127.0.0.1:9001"
	fs.Var(&s.listen.http, "http", "address for HTTP")
	fs.Var(&s.listen.resp, "resp", "address for the Redis protocol")
	fs.Var(&s.listen.peer, "peer", "address for the other nodes")
	fs.Var(&s.listen.metrics, "metrics-http", "address for /healthz, /readyz and /metrics alone, for probes: without TLS and without a password, on any network; none: they are at --http only")
	fs.Var(&s.advertise.http, "advertise-http", "address for HTTP that others are told; default: that of --http, and for 0.0.0.0 the host of this node's entry in --initial-cluster")
	fs.Var(&s.advertise.resp, "advertise-resp", "address for the Redis protocol that others are told, in -MOVED too; default: likewise, from --resp")
	fs.Var(&s.advertise.peer, "advertise-peer", "address that the other nodes use; default and, where it is given, the same: this node's entry in --initial-cluster")
	return fs
}

func (s *settings) memoryFlags() *pflag.FlagSet {
	fs := newFlagSet()
	fs.Var(&s.memory.max, "maxmemory", "limit of the data in memory, shared evenly by the shards; 0: none")
	s.memory.policy = choiceValue{"noeviction", store.PolicyNames()}
	fs.Var(&s.memory.policy, "maxmemory-policy", "what to evict at the limit")
	s.memory.samples = 5
	fs.Var(&s.memory.samples, "maxmemory-samples", "keys looked at per eviction by the approximate policies, 1 to 64")
	return fs
}

func (s *settings) requestFlags() *pflag.FlagSet {
	fs := newFlagSet()
	s.requests.timeout = durationValue(5 * time.Second)
	fs.Var(&s.requests.timeout, "request-timeout", "how long a request may wait for its shard before it fails; one larger than 1 MiB has a second more for each 4 MiB, as long as there is a leader")
	fs.Var(&s.requests.drain, "drain", "on SIGTERM, how long new requests are refused with an error that is definite, and /readyz answers 503, before the ports close; what has begun is answered")
	s.requests.maxValue = 64 << 20
	fs.Var(&s.requests.maxValue, "max-value-size", "largest value accepted, and grown to by APPEND and SETRANGE, 1kb to 512mb; the same on every node")
	s.requests.maxClients = 10000
	fs.Var(&s.requests.maxClients, "maxclients", "largest number of client connections of the Redis protocol; lowered at the start, with --http-max-connections, to what the limit of open files (RLIMIT_NOFILE) leaves room for")
	s.requests.maxHTTP = 4096
	fs.Var(&s.requests.maxHTTP, "http-max-connections", "largest number of connections for HTTP; one without a request makes room for a new one, else that is answered 503")
	s.requests.httpStall = durationValue(30 * time.Second)
	fs.Var(&s.requests.httpStall, "http-stall-timeout", "how long 16 KiB of an HTTP body, or the rest of it, may take to come, and 64 KiB of an answer to be read")
	s.requests.output = 128 << 20
	fs.Var(&s.requests.output, "client-output-limit", "how much of the replies is kept for a client of the Redis protocol that has not read them yet, twice as much for all together; then the client is waited for, and cut off when it reads nothing for 10 s")
	s.requests.clientMemory.size = 1 << 30
	fs.Var(&s.requests.clientMemory, "maxmemory-clients", "memory that all clients of a node may hold together: requests, commands queued by MULTI, watched keys, replies that are not read; beyond it the clients that hold most are closed, and requests over HTTP refused; bytes, or as 5% of --maxmemory; at least twice --max-value-size; 0: no limit")
	s.requests.redirect = choiceValue{"moved", []string{"moved", "forward"}}
	fs.Var(&s.requests.redirect, "redirect", "with several shards: answer -MOVED as Redis Cluster does, or forward for clients that do not know it")
	s.requests.cluster = choiceValue{"auto", []string{"auto", "on", "off"}}
	fs.Var(&s.requests.cluster, "cluster-protocol", "whether clients see a node of a Redis Cluster (CLUSTER SLOTS and the like) or a plain Redis; auto: a cluster with several shards only; off with several shards needs --redirect forward")
	fs.BoolVar(&s.requests.crossShard, "allow-cross-shard", false, "let MGET, MSET, DEL, EXISTS, UNLINK and TOUCH span shards, atomic per shard only; over the Redis protocol with --redirect forward only, over HTTP always")
	s.requests.onceRetention = durationValue(10 * time.Minute)
	fs.Var(&s.requests.onceRetention, "once-retention", "how long the outcome of a request with an idempotency key is kept; the key itself is refused for half an hour more")
	s.requests.onceMemory = 512 << 20
	fs.Var(&s.requests.onceMemory, "once-memory", "memory of a node for idempotency keys and their outcomes, shared evenly by the shards; when it is used up new keys are refused; the same on every node")
	s.requests.slowlog = slowlogValue(10 * time.Millisecond)
	fs.Var(&s.requests.slowlog, "slowlog-log-slower-than", "commands slower than this enter the slow log; 0: all, -1: none")
	return fs
}

func (s *settings) raftFlags() *pflag.FlagSet {
	fs := newFlagSet()
	s.raft.readMode = choiceValue{"quorum", []string{"quorum", "lease"}}
	fs.Var(&s.raft.readMode, "read-mode", "how linearizable reads are confirmed: a round to a quorum each time, or a lease; the same on every node")
	s.raft.lease = durationValue(250 * time.Millisecond)
	fs.Var(&s.raft.lease, "lease-duration", "how long one confirmed round serves reads, and how long a new leader stays silent; the same on every node")
	s.raft.heartbeat = durationValue(300 * time.Millisecond)
	fs.Var(&s.raft.heartbeat, "heartbeat-timeout", "silence of the leader after which another is elected: once to twice this, half when its connections are lost")
	s.raft.election = durationValue(300 * time.Millisecond)
	fs.Var(&s.raft.election, "election-timeout", "how long a candidate waits for votes before it tries again, at least five times --heartbeat-timeout")
	s.raft.snapshotLogBytes = 128 << 20
	fs.Var(&s.raft.snapshotLogBytes, "snapshot-log-bytes", "size of a shard's log after which it is compacted into a snapshot; followers begin at three quarters of it, one that lets others go first at half as much again at the latest")
	s.raft.logCache = 16 << 20
	fs.Var(&s.raft.logCache, "log-cache", "memory of a node for the newest log entries, which followers are sent from it, for all shards together and shared by use; 0: none")
	s.raft.clockOffset = durationValue(500 * time.Millisecond)
	fs.Var(&s.raft.clockOffset, "max-clock-offset", "a node whose clock is further from a quorum's gives leadership away")
	s.raft.audit = spanValue(10 * time.Minute)
	fs.Var(&s.raft.audit, "audit-interval", "time between two readings of all data in memory, whose results the replicas compare; 0: never")
	s.raft.stall = durationValue(30 * time.Second)
	fs.Var(&s.raft.stall, "disk-stall-timeout", "a write to disk that lasts longer counts as a failed disk, and ends the node; one that lasts longer than twice --heartbeat-timeout costs it its leaderships")
	s.raft.diskReserve = 256 << 20
	fs.Var(&s.raft.diskReserve, "disk-reserve", "free bytes of the data directory's disk below which writes that grow are refused; below a quarter of it only what frees is logged; 0: off")
	return fs
}

func (s *settings) securityFlags() *pflag.FlagSet {
	fs := newFlagSet()
	fs.StringVar(&s.security.password, "requirepass", "", "password for clients (AUTH; HTTP basic or bearer); better given by --requirepass-file")
	fs.StringVar(&s.security.passwordFile, "requirepass-file", "", "file of the password for clients, read again when it changes; a second line is the old password, valid as well while clients change")
	fs.Var(&s.security.allowedHosts, "http-allowed-hosts", "names, besides IP addresses and localhost, that HTTP requests may have as Host while no password is set")
	s.security.authTimeout = durationValue(30 * time.Second)
	fs.Var(&s.security.authTimeout, "auth-timeout", "how long a client of the Redis protocol may take to show its certificate and its password; HTTP gives the header of a request as long, at most 10s")
	fs.StringVar(&s.security.client.Cert, "tls-cert", "", "PEM certificate for clients' connections")
	fs.StringVar(&s.security.client.Key, "tls-key", "", "PEM key of --tls-cert")
	fs.StringVar(&s.security.client.CA, "tls-ca", "", "PEM authorities; when given, clients must show a certificate of theirs")
	fs.StringVar(&s.security.peer.Cert, "tls-peer-cert", "", "PEM certificate of this node for the other nodes: it names the host of the node's peer address, or its id, and is for server and client use")
	fs.StringVar(&s.security.peer.Key, "tls-peer-key", "", "PEM key of --tls-peer-cert")
	fs.StringVar(&s.security.peer.CA, "tls-peer-ca", "", "PEM authorities that sign the nodes' certificates")
	fs.Var(&s.security.peerNames, "tls-peer-allowed-names", "names, separated by commas, of which any node's certificate may have one instead of its host or id")
	fs.StringVar(&s.security.peerSecret, "peer-secret-file", "", "file of a secret of 32 random bytes or more, the same on every node, by which nodes know each other; two on a line each while it is replaced; not readable by others; read again when it changes")
	fs.BoolVar(&s.security.insecurePeers, "insecure-peers", false, "let nodes come in without TLS or a secret though a password is set or the peer address is not loopback (a trusted network)")
	return fs
}

func (s *settings) logFlags() *pflag.FlagSet {
	fs := newFlagSet()
	s.log.level = choiceValue{"info", []string{"debug", "info", "warn", "error"}}
	fs.Var(&s.log.level, "log-level", "what the node writes to standard error")
	s.log.format = choiceValue{"text", []string{"text", "json"}}
	fs.Var(&s.log.format, "log-format", "form of the log")
	return fs
}

func newFlagSet() *pflag.FlagSet {
	fs := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	fs.SortFlags = false
	return fs
}

// mistake is a setting that is wrong or does not fit another one.
func mistake(flag, format string, args ...any) error {
	return fmt.Errorf("--%s: %s", flag, fmt.Sprintf(format, args...))
}
