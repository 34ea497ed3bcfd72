package config

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/lockstepkv/lockstep/api/router"
	"github.com/lockstepkv/lockstep/store"
)

// MaxMaxValueBytes is Redis's own limit of a string.
const MaxMaxValueBytes = 512 << 20

// finish fills in what follows from other settings, and checks the whole. It reports every
// mistake at once.
func (c Config) finish() (Config, error) {
	if len(c.Node.Members) == 0 {
		c.Node.Members = []Member{{ID: c.Node.ID, PeerAddr: cmp.Or(c.Advertise.Peer, c.Listen.Peer)}}
	}
	if m := &c.Requests.ClientMemory; m.Percent > 0 {
		m.Bytes = router.PercentOf(m.Percent, c.Memory.MaxBytes)
	}
	if err := errors.Join(c.Node.check(), c.checkListeners(), c.Memory.check(), c.Raft.check(), c.Requests.check(),
		c.Requests.checkCluster(c.Node.Shards), c.checkExposure(), c.checkPeers()); err != nil {
		return Config{}, err
	}
	return c, nil
}

// within refuses what is not from least to most.
func within[T cmp.Ordered](flag string, v, least, most T) error {
	if v < least || v > most {
		return Mistake(flag, "%v is not within %v to %v", v, least, most)
	}
	return nil
}

// atLeast refuses what is less. unit is told after the value.
func atLeast[T cmp.Ordered](flag string, v, least T, unit string) error {
	if v < least {
		return Mistake(flag, "%v%s is less than %v", v, unit, least)
	}
	return nil
}

func (n Node) check() error {
	var errs []error
	if err := checkNodeID(n.ID); err != nil {
		errs = append(errs, Mistake("id", "%v", err))
	}
	if n.DataDir == "" {
		errs = append(errs, Mistake("data-dir", "must not be empty"))
	}
	if longest := 128; n.ClusterName == "" || len(n.ClusterName) > longest {
		errs = append(errs, Mistake("cluster-name", "must have 1 to %d characters", longest))
	}
	errs = append(errs, within("shards", n.Shards, 1, 256))
	if _, ok := n.MemberMap()[n.ID]; !ok {
		ids := make([]string, len(n.Members))
		for i, m := range n.Members {
			ids[i] = m.ID
		}
		errs = append(errs, Mistake("initial-cluster", "lists %s but not this node, %s (--id)", strings.Join(ids, ", "), n.ID))
	}
	return errors.Join(errs...)
}

// listeners are those of which no two may have one address. The last is for probes: nothing
// there is secret.
func (c Config) listeners() []listener {
	return []listener{{"http", c.Listen.HTTP}, {"resp", c.Listen.RESP}, {"peer", c.Listen.Peer}, {"metrics-http", c.Metrics}}
}

func (c Config) checkListeners() error {
	var errs []error
	all := c.listeners()
	for i, l := range all {
		if first := slices.IndexFunc(all, func(other listener) bool { return other.addr == l.addr }); first < i {
			errs = append(errs, Mistake(l.flag, "%s is the address of --%s too", l.addr, all[first].flag))
		}
	}
	return errors.Join(errs...)
}

func (m Memory) check() error {
	for l, n := range m.Limits {
		if info := store.Limit(l).Info(); n < info.Least || n > info.Most {
			return fmt.Errorf("--%s must be between %d and %d", info.Name, info.Least, info.Most)
		}
	}
	return within("maxmemory-samples", m.Samples, 1, 64)
}

func (r Raft) check() error {
	var election, audit error
	if r.ElectionTimeout < r.HeartbeatTimeout {
		election = Mistake("election-timeout", "%v is less than --heartbeat-timeout %v", r.ElectionTimeout, r.HeartbeatTimeout)
	}
	if least := time.Second; r.AuditInterval != 0 && r.AuditInterval < least {
		audit = Mistake("audit-interval", "%v is neither 0 nor at least %v", r.AuditInterval, least)
	}
	return errors.Join(atLeast("heartbeat-timeout", r.HeartbeatTimeout, 50*time.Millisecond, ""), election,
		atLeast("snapshot-log-bytes", r.SnapshotLogBytes, minSnapshotBytes, ""),
		within("lease-duration", r.LeaseDuration, 20*time.Millisecond, time.Minute),
		atLeast("disk-stall-timeout", r.DiskStallTimeout, time.Second, ""), audit) // later than a slow disk costs the leadership
}

// LeastClientBytes lets the largest request in while another one is answered.
func (r Requests) LeastClientBytes() int64 { return max(8<<20, 2*r.MaxValueBytes) }

func (r Requests) check() error {
	var value error
	if r.MaxValueBytes < 1<<10 || r.MaxValueBytes > MaxMaxValueBytes {
		value = Mistake("max-value-size", "%d bytes is not within 1kb to 512mb", r.MaxValueBytes)
	}
	return errors.Join(value, atLeast("once-memory", r.OnceBytes, 1<<20, " bytes"),
		atLeast("client-output-limit", r.OutputBytes, router.MinClientOutputLimit, " bytes"), r.checkClientMemory(),
		atLeast("maxclients", r.MaxClients, 1, ""), atLeast("http-stall-timeout", r.HTTPStall, time.Second, ""),
		atLeast("http-max-connections", r.MaxHTTPConns, 1, ""))
}

func (r Requests) checkClientMemory() error {
	const flag = "maxmemory-clients"
	switch m, least := r.ClientMemory, r.LeastClientBytes(); {
	case m.Percent > 0 && m.Bytes == 0:
		return Mistake(flag, "%d%% of --maxmemory, which is 0 (no limit): set that too, or bytes here", m.Percent)
	case m.Percent > 0 && m.Bytes < least:
		return Mistake(flag, "%d%% of --maxmemory are %d bytes, less than %d, twice --max-value-size", m.Percent, m.Bytes, least)
	case m.Bytes != 0 && m.Bytes < least:
		return Mistake(flag, "%d bytes is neither 0 nor at least %d, twice --max-value-size", m.Bytes, least)
	}
	return nil
}

// checkCluster: a client that takes the node for a plain Redis cannot be redirected.
func (r Requests) checkCluster(shards int) error {
	if r.ClusterProtocol == "off" && r.RedirectMoved && shards > 1 {
		return Mistake("cluster-protocol", "off needs --redirect forward with several shards: a client of a plain Redis knows no -MOVED")
	}
	return nil
}

// LeaseOutlastsElection: every failover then waits for leases that are no use any
// more.
func (r Raft) LeaseOutlastsElection() bool {
	return r.LeaseReads && r.LeaseDuration > r.HeartbeatTimeout+r.ElectionTimeout
}

// CrossShardOverHTTPOnly: a client that is redirected must not get answers for
// shards of other nodes; HTTP is never redirected.
func (c Config) CrossShardOverHTTPOnly() bool {
	return c.Requests.AllowCrossShard && c.Requests.RedirectMoved && c.Node.Shards > 1
}

// checkExposure refuses what would open the data to a network by accident.
func (c Config) checkExposure() error {
	var errs []error
	if err := CheckPassword(c.Security.Password); err != nil {
		errs = append(errs, Mistake("requirepass", "%v", err))
	}
	if c.Security.Password != "" && c.Security.PasswordFile != "" {
		errs = append(errs, Mistake("requirepass-file", "and --requirepass are given both"))
	}
	if !c.Security.HasPassword() {
		for _, l := range c.listeners()[:2] { // for clients
			if IsLoopback(l.addr) {
				continue
			}
			errs = append(errs, Mistake(l.flag, "%s can be reached from other machines and no password is set; set --requirepass-file (or --requirepass), or listen on 127.0.0.1", l.addr))
		}
	}
	errs = append(errs, c.Security.ClientTLS.check("tls", false), c.Security.PeerTLS.check("tls-peer", true))
	if why := c.peersOpen(); why != "" {
		errs = append(errs, Mistake("peer", "%s; set --peer-secret-file, or --tls-peer-cert, --tls-peer-key and --tls-peer-ca, or --insecure-peers on a network that you trust", why))
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
	case !IsLoopback(c.Listen.Peer):
		return c.Listen.Peer + " can be reached from other machines and anybody there could join in"
	case c.Security.HasPassword() && len(c.Node.Members) > 1:
		return "anybody who reaches " + c.Listen.Peer + " could join in and pass by --requirepass"
	}
	return ""
}

type listener struct{ flag, addr string }

func (f TLSFiles) check(prefix string, needCA bool) error {
	if f == (TLSFiles{}) {
		return nil
	}
	for _, part := range []struct{ name, value string }{{"cert", f.Cert}, {"key", f.Key}, {"ca", f.CA}} {
		if part.value == "" && (part.name != "ca" || needCA) {
			return Mistake(prefix+"-"+part.name, "is missing: TLS needs %s", tlsNeeds(prefix, needCA))
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

// IsLoopback never asks a name server: only what is certain counts.
func IsLoopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// CheckPassword refuses what a client could not show over both protocols.
func CheckPassword(p string) error {
	switch longest := 512; {
	case len(p) > longest:
		return fmt.Errorf("a password has %d bytes, more than %d", len(p), longest)
	case strings.TrimSpace(p) != p:
		return errors.New("a password begins or ends with a space")
	case strings.ContainsFunc(p, func(c rune) bool { return c < ' ' || c == 0x7f }):
		return errors.New("a password holds a control character")
	}
	return nil
}
