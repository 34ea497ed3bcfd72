package main

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/lockstepkv/lockstep/api/router"
)

const (
	maxShards          = 256
	minMaxValueBytes   = 1 << 10
	minOutputBytes     = router.MinClientOutputLimit
	minClientBytes     = 8 << 20
	minDiskStall       = time.Second // later than a slow disk costs the leadership
	minHTTPStall       = time.Second
	maxMaxValueBytes   = 512 << 20 // Redis's own limit of a string
	minRaftTimeout     = 50 * time.Millisecond
	minAuditInterval   = time.Second
	minLeaseDuration   = 20 * time.Millisecond
	minOnceBytes       = 1 << 20
	maxLeaseDuration   = time.Minute
	maxNameLength      = 128
	maxMemorySampleCap = 64
)

// build checks the settings as a whole. It reports every mistake at once.
func (s *settings) build() (Config, error) {
	cfg := Config{
		Node: NodeConfig{ID: s.node.id, DataDir: s.node.dataDir, ClusterName: s.node.clusterName,
			Members: s.node.members, Shards: int(s.node.shards), LogEngine: s.node.logEngine.value},
		Listen:    ListenConfig{HTTP: string(s.listen.http), RESP: string(s.listen.resp), Peer: string(s.listen.peer)},
		Metrics:   string(s.listen.metrics),
		Advertise: ListenConfig{HTTP: string(s.advertise.http), RESP: string(s.advertise.resp), Peer: string(s.advertise.peer)},
		Memory:    MemoryConfig{MaxBytes: int64(s.memory.max), Policy: s.memory.policy.value, Samples: int(s.memory.samples)},
		Raft: RaftConfig{HeartbeatTimeout: time.Duration(s.raft.heartbeat), ElectionTimeout: time.Duration(s.raft.election),
			SnapshotLogBytes: int64(s.raft.snapshotLogBytes), LogCacheBytes: int64(s.raft.logCache),
			DiskStallTimeout: time.Duration(s.raft.stall), DiskReserve: int64(s.raft.diskReserve),
			MaxClockOffset: time.Duration(s.raft.clockOffset), LeaseReads: s.raft.readMode.value == "lease",
			LeaseDuration: time.Duration(s.raft.lease), AuditInterval: time.Duration(s.raft.audit)},
		Requests: RequestConfig{Timeout: time.Duration(s.requests.timeout), Drain: time.Duration(s.requests.drain), MaxValueBytes: int64(s.requests.maxValue),
			MaxClients: int(s.requests.maxClients), MaxHTTPConns: int(s.requests.maxHTTP), HTTPStall: time.Duration(s.requests.httpStall), OutputBytes: int64(s.requests.output), ClientBytes: int64(s.requests.clientMemory.size), ClientPercent: s.requests.clientMemory.percent, RedirectMoved: s.requests.redirect.value == "moved", ClusterProtocol: s.requests.cluster.value,
			AllowCrossShard: s.requests.crossShard, OnceRetention: time.Duration(s.requests.onceRetention), OnceBytes: int64(s.requests.onceMemory),
			SlowlogThreshold: time.Duration(s.requests.slowlog)},
		Security: SecurityConfig{Password: s.security.password, PasswordFile: s.security.passwordFile,
			AuthTimeout: time.Duration(s.security.authTimeout), ClientTLS: s.security.client,
			PeerTLS: s.security.peer, PeerNames: s.security.peerNames, PeerSecret: s.security.peerSecret, InsecurePeers: s.security.insecurePeers,
			AllowedHosts: s.security.allowedHosts},
		Log: LogConfig{JSON: s.log.format.value == "json"},
	}
	if err := cfg.Log.Level.UnmarshalText([]byte(s.log.level.value)); err != nil {
		return Config{}, mistake("log-level", "%v", err)
	}
	if len(cfg.Node.Members) == 0 {
		cfg.Node.Members = []Member{{ID: cfg.Node.ID, PeerAddr: cmp.Or(cfg.Advertise.Peer, cfg.Listen.Peer)}}
	}
	if cfg.Requests.ClientPercent > 0 {
		cfg.Requests.ClientBytes = router.PercentOf(cfg.Requests.ClientPercent, cfg.Memory.MaxBytes)
	}
	if err := errors.Join(cfg.Node.check(), cfg.Listen.check(), cfg.checkMetrics(), cfg.Memory.check(),
		cfg.Raft.check(), cfg.Requests.check(), cfg.Requests.checkCluster(cfg.Node.Shards), cfg.checkExposure(), cfg.checkAdvertised()); err != nil {
		return Config{}, err
	}
	return cfg, nil
}

func (n NodeConfig) check() error {
	var errs []error
	if err := checkNodeID(n.ID); err != nil {
		errs = append(errs, mistake("id", "%v", err))
	}
	if n.DataDir == "" {
		errs = append(errs, mistake("data-dir", "must not be empty"))
	}
	if n.ClusterName == "" || len(n.ClusterName) > maxNameLength {
		errs = append(errs, mistake("cluster-name", "must have 1 to %d characters", maxNameLength))
	}
	if n.Shards < 1 || n.Shards > maxShards {
		errs = append(errs, mistake("shards", "%d is not within 1 to %d", n.Shards, maxShards))
	}
	if _, ok := n.MemberMap()[n.ID]; !ok {
		ids := make([]string, len(n.Members))
		for i, m := range n.Members {
			ids[i] = m.ID
		}
		errs = append(errs, mistake("initial-cluster", "lists %s but not this node, %s (--id)", strings.Join(ids, ", "), n.ID))
	}
	return errors.Join(errs...)
}

func (l ListenConfig) check() error {
	switch {
	case l.HTTP == l.RESP:
		return mistake("resp", "%s is the address of --http too", l.RESP)
	case l.HTTP == l.Peer:
		return mistake("peer", "%s is the address of --http too", l.Peer)
	case l.RESP == l.Peer:
		return mistake("peer", "%s is the address of --resp too", l.Peer)
	}
	return nil
}

// checkMetrics: any address will do that is no other listener's, since nothing there is
// secret.
func (c Config) checkMetrics() error {
	for _, other := range []struct{ flag, addr string }{{"http", c.Listen.HTTP}, {"resp", c.Listen.RESP}, {"peer", c.Listen.Peer}} {
		if c.Metrics == other.addr {
			return mistake("metrics-http", "%s is the address of --%s too", c.Metrics, other.flag)
		}
	}
	return nil
}

func (m MemoryConfig) check() error {
	if m.Samples < 1 || m.Samples > maxMemorySampleCap {
		return mistake("maxmemory-samples", "%d is not within 1 to %d", m.Samples, maxMemorySampleCap)
	}
	return nil
}

func (r RaftConfig) check() error {
	var errs []error
	if r.HeartbeatTimeout < minRaftTimeout {
		errs = append(errs, mistake("heartbeat-timeout", "%v is less than %v", r.HeartbeatTimeout, minRaftTimeout))
	}
	if r.ElectionTimeout < r.HeartbeatTimeout {
		errs = append(errs, mistake("election-timeout", "%v is less than --heartbeat-timeout %v", r.ElectionTimeout, r.HeartbeatTimeout))
	}
	if r.SnapshotLogBytes < minSnapshotBytes {
		errs = append(errs, mistake("snapshot-log-bytes", "%d is less than %d", r.SnapshotLogBytes, minSnapshotBytes))
	}
	if r.LeaseDuration < minLeaseDuration || r.LeaseDuration > maxLeaseDuration {
		errs = append(errs, mistake("lease-duration", "%v is not within %v to %v", r.LeaseDuration, minLeaseDuration, maxLeaseDuration))
	}
	if r.DiskStallTimeout < minDiskStall {
		errs = append(errs, mistake("disk-stall-timeout", "%v is less than %v", r.DiskStallTimeout, minDiskStall))
	}
	if r.AuditInterval != 0 && r.AuditInterval < minAuditInterval {
		errs = append(errs, mistake("audit-interval", "%v is neither 0 nor at least %v", r.AuditInterval, minAuditInterval))
	}
	return errors.Join(errs...)
}

// leastClientBytes lets the largest request in while another one is answered.
func (r RequestConfig) leastClientBytes() int64 { return max(minClientBytes, 2*r.MaxValueBytes) }

func (r RequestConfig) check() error {
	var errs []error
	if r.MaxValueBytes < minMaxValueBytes || r.MaxValueBytes > maxMaxValueBytes {
		errs = append(errs, mistake("max-value-size", "%d bytes is not within 1kb to 512mb", r.MaxValueBytes))
	}
	if r.OnceBytes < minOnceBytes {
		errs = append(errs, mistake("once-memory", "%d bytes is less than %d", r.OnceBytes, minOnceBytes))
	}
	if r.OutputBytes < minOutputBytes {
		errs = append(errs, mistake("client-output-limit", "%d bytes is less than %d", r.OutputBytes, minOutputBytes))
	}
	switch least := r.leastClientBytes(); {
	case r.ClientPercent > 0 && r.ClientBytes == 0:
		errs = append(errs, mistake("maxmemory-clients", "%d%% of --maxmemory, which is 0 (no limit): set that too, or bytes here", r.ClientPercent))
	case r.ClientPercent > 0 && r.ClientBytes < least:
		errs = append(errs, mistake("maxmemory-clients", "%d%% of --maxmemory are %d bytes, less than %d, twice --max-value-size", r.ClientPercent, r.ClientBytes, least))
	case r.ClientBytes != 0 && r.ClientBytes < least:
		errs = append(errs, mistake("maxmemory-clients", "%d bytes is neither 0 nor at least %d, twice --max-value-size", r.ClientBytes, least))
	}
	if r.MaxClients < 1 {
		errs = append(errs, mistake("maxclients", "%d is less than 1", r.MaxClients))
	}
	if r.HTTPStall < minHTTPStall {
		errs = append(errs, mistake("http-stall-timeout", "%v is less than %v", r.HTTPStall, minHTTPStall))
	}
	if r.MaxHTTPConns < 1 {
		errs = append(errs, mistake("http-max-connections", "%d is less than 1", r.MaxHTTPConns))
	}
	return errors.Join(errs...)
}

// checkCluster: a client that takes the node for a plain Redis cannot be redirected.
func (r RequestConfig) checkCluster(shards int) error {
	if r.ClusterProtocol == "off" && r.RedirectMoved && shards > 1 {
		return mistake("cluster-protocol", "off needs --redirect forward with several shards: a client of a plain Redis knows no -MOVED")
	}
	return nil
}

// leaseOutlastsElection: every failover then waits for leases that are no use any
// more.
func (r RaftConfig) leaseOutlastsElection() bool {
	return r.LeaseReads && r.LeaseDuration > r.HeartbeatTimeout+r.ElectionTimeout
}

// crossShardOverHTTPOnly: a client that is redirected must not get answers for
// shards of other nodes; HTTP is never redirected.
func (r RequestConfig) crossShardOverHTTPOnly(shards int) bool {
	return r.AllowCrossShard && r.RedirectMoved && shards > 1
}

// checkExposure refuses what would open the data to a network by accident.
func (c Config) checkExposure() error {
	var errs []error
	if err := checkPassword(c.Security.Password); err != nil {
		errs = append(errs, mistake("requirepass", "%v", err))
	}
	if c.Security.Password != "" && c.Security.PasswordFile != "" {
		errs = append(errs, mistake("requirepass-file", "and --requirepass are given both"))
	}
	if !c.Security.hasPassword() {
		for _, l := range c.openListeners() {
			errs = append(errs, mistake(l.flag, "%s can be reached from other machines and no password is set; set --requirepass-file (or --requirepass), or listen on 127.0.0.1", l.addr))
		}
	}
	errs = append(errs, c.Security.ClientTLS.check("tls", false), c.Security.PeerTLS.check("tls-peer", true))
	if why := c.peersOpen(); why != "" {
		errs = append(errs, mistake("peer", "%s; set --peer-secret-file, or --tls-peer-cert, --tls-peer-key and --tls-peer-ca, or --insecure-peers on a network that you trust", why))
	}
	return errors.Join(errs...)
}

// peersOpen says who could come in by the peer port around what protects the data;
// empty when nobody. A node that is alone takes no peers, so a password needs nothing
// more there.
func (c Config) peersOpen() string {
	switch {
	case c.Security.PeerTLS.Enabled() || c.Security.PeerSecret != "" || c.Security.InsecurePeers:
		return ""
	case !isLoopback(c.Listen.Peer):
		return c.Listen.Peer + " can be reached from other machines and anybody there could join in"
	case c.Security.hasPassword() && len(c.Node.Members) > 1:
		return "anybody who reaches " + c.Listen.Peer + " could join in and pass by --requirepass"
	}
	return ""
}

type clientListener struct{ flag, addr string }

// openListeners are those for clients that other machines can reach.
func (c Config) openListeners() (open []clientListener) {
	for _, l := range []clientListener{{"http", c.Listen.HTTP}, {"resp", c.Listen.RESP}} {
		if !isLoopback(l.addr) {
			open = append(open, l)
		}
	}
	return open
}

func (f TLSFiles) check(prefix string, needCA bool) error {
	if f == (TLSFiles{}) {
		return nil
	}
	for _, part := range []struct{ name, value string }{{"cert", f.Cert}, {"key", f.Key}, {"ca", f.CA}} {
		if part.value == "" && (part.name != "ca" || needCA) {
			return mistake(prefix+"-"+part.name, "is missing: TLS needs %s", tlsNeeds(prefix, needCA))
		}
	}
	return nil
}

func tlsNeeds(prefix string, needCA bool) string {
	if needCA {
		return fmt.Sprintf("--%s-cert, --%s-key and --%s-ca together", prefix, prefix, prefix)
	}
	return fmt.Sprintf("--%s-cert and --%s-key together", prefix, prefix)
}
