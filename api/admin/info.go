package admin

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/lockstepkv/lockstep/api/clientmem"
	"github.com/lockstepkv/lockstep/api/router"
	"github.com/lockstepkv/lockstep/api/stats"
	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/fsm/command/queries"
	"github.com/lockstepkv/lockstep/resp"
)

// infoCommands tells how a node fares.
func infoCommands() []router.Command[*admin] {
	return []router.Command[*admin]{
		{
			Spec: command.Spec{
				Name: "info", Group: "server", Arity: -1, Since: "1.0.0",
				Flags: command.Connection | command.Loading | command.StaleOK, ACL: []string{"dangerous"},
				Summary: "Answers figures and facts about this node.",
				Args:    []command.Arg{command.Opt(command.Many(command.String("section")))},
			},
			Run: (*admin).info,
		},
	}
}

// infoSection is one section of INFO.
type infoSection struct {
	name  string
	extra bool // shown by "all" and by name only
	write func(*infoText)
}

// infoText collects the lines of INFO. The figures that several sections need
// are read once.
type infoText struct {
	strings.Builder
	*admin
	cluster router.ClusterInfo
	shards  []shardFigures
}

// shardFigures is what a replica of a shard holds: this node's or, without one, another's.
type shardFigures struct {
	keys, volatile int
	used           int64   // of this node's memory
	ttl            float64 // milliseconds of all volatile keys together
	locks, waiters int
	lockBytes      int64
	index          uint64
	err            error
}

func (t *infoText) line(name string, v any) { fmt.Fprintf(&t.Builder, "%s:%v\r\n", name, v) }

// flag is a line of 0 or 1.
func (t *infoText) flag(name string, on bool) {
	n := 0
	if on {
		n = 1
	}
	t.line(name, n)
}

func infoSections() []infoSection {
	return []infoSection{
		{"server", false, infoServer},
		{"clients", false, infoClients},
		{"memory", false, infoMemory},
		{"persistence", false, infoPersistence},
		{"stats", false, infoStats},
		{"replication", false, infoReplication},
		{"cpu", false, infoCPU},
		{"modules", false, func(*infoText) {}},
		{"commandstats", true, infoCommandstats},
		{"errorstats", false, infoErrorstats},
		{"latencystats", true, infoLatencystats},
		{"cluster", false, func(t *infoText) { t.flag("cluster_enabled", t.Facts.Mode == router.ModeCluster) }},
		{"keyspace", false, infoKeyspace},
		{"locks", false, infoLocks},
		{"lockstep", false, infoLockstep},
	}
}

func (a *admin) info(ctx context.Context, _ *router.Session, args command.Args) resp.Value {
	t := &infoText{admin: a, cluster: a.Cluster.Cluster(), shards: a.figures(ctx)}
	titles := map[string]string{"cpu": "CPU"}
	for _, sec := range infoSections() {
		if !wantsSection(args[1:], sec) {
			continue
		}
		if t.Len() > 0 {
			t.WriteString("\r\n")
		}
		title := titles[sec.name]
		if title == "" {
			title = strings.ToUpper(sec.name[:1]) + sec.name[1:]
		}
		t.WriteString("# " + title + "\r\n")
		sec.write(t)
	}
	return resp.Verbatim(t.String())
}

func wantsSection(names command.Args, sec infoSection) bool {
	if len(names) == 0 {
		return !sec.extra
	}
	return slices.ContainsFunc(names, func(n []byte) bool {
		switch s := strings.ToLower(string(n)); s {
		case "all", "everything":
			return true
		case "default":
			return !sec.extra
		default:
			return s == sec.name
		}
	})
}

// remoteFigures is how long another node may take to tell what its replica holds.
const remoteFigures = 500 * time.Millisecond

// figures asks this node's replica of each shard what it holds, and another node's where this
// one has none. It never waits for a leader, so that INFO works when nothing else does. Memory
// is that of this node.
func (a *admin) figures(ctx context.Context) []shardFigures {
	ctx, cancel := context.WithTimeout(ctx, a.Facts.Timeout)
	defer cancel()
	out := make([]shardFigures, len(a.Shards))
	var wg sync.WaitGroup
	for i := range out {
		if a.Cluster.Holds(i) {
			out[i] = a.figuresOf(ctx, i)
			continue
		}
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, remoteFigures)
			defer cancel()
			out[i] = a.figuresOf(ctx, i)
			out[i].used = 0
		})
	}
	wg.Wait()
	return out
}

func (a *admin) figuresOf(ctx context.Context, shard int) shardFigures {
	q := queries.Figures()
	info, err := a.Shards[shard].Read(ctx, command.ReadOptions{Consistency: command.Stale}, q.Query())
	f := shardFigures{index: info.Index, err: err}
	if err != nil {
		return f
	}
	has, err := queries.FiguresIn(q.Reply)
	f.keys, f.volatile, f.used = has.Keys, has.Volatile, has.Used
	f.ttl = float64(has.Volatile) * float64(has.AverageTTL)
	f.locks, f.waiters, f.lockBytes = has.Locks, has.Waiters, has.LockBytes
	f.err = err
	return f
}

func infoServer(t *infoText) {
	up := int64(t.Facts.Now().Sub(t.Facts.Started).Seconds())
	exe, _ := os.Executable()
	t.line("redis_version", router.RedisVersion)
	t.line("lockstep_version", t.Facts.Version)
	t.line("redis_mode", t.Facts.Mode)
	t.line("os", runtime.GOOS+" "+runtime.GOARCH)
	t.line("arch_bits", 64)
	t.line("go_version", runtime.Version())
	t.line("process_id", os.Getpid())
	t.line("run_id", t.Facts.RunID)
	t.line("tcp_port", t.ownPort())
	t.line("server_time_usec", t.Facts.Now().UnixMicro())
	t.line("uptime_in_seconds", up)
	t.line("uptime_in_days", up/86400)
	t.line("executable", exe)
	t.line("config_file", t.Facts.ConfigFile)
}

// ownPort is where clients of the Redis protocol reach this node.
func (t *infoText) ownPort() int64 {
	for _, n := range t.cluster.Nodes {
		if n.ID == t.cluster.Self {
			_, port := router.HostPort(n.RESP)
			return port
		}
	}
	return 0
}

func infoClients(t *infoText) {
	t.line("connected_clients", t.Sessions.Len())
	t.line("cluster_connections", 0)
	t.line("maxclients", t.Settings.Load().MaxClients)
	t.line("blocked_clients", 0)
	t.line("tracking_clients", 0)
}

func infoMemory(t *infoText) {
	var used, peak int64
	for _, f := range t.shards {
		used += f.used
	}
	for _, sh := range t.cluster.Shards {
		peak += sh.UsedPeak // of different moments: with several shards an upper bound
	}
	peak = max(peak, used)
	set := t.Settings.Load()
	t.line("used_memory", used)
	t.line("used_memory_human", humanBytes(used))
	rss := residentBytes()
	t.line("used_memory_rss", rss)
	t.line("used_memory_rss_human", humanBytes(rss))
	t.line("used_memory_peak", peak)
	t.line("used_memory_peak_human", humanBytes(peak))
	t.line("used_memory_dataset", used)
	t.line("maxmemory", set.MaxMemory)
	t.line("maxmemory_human", humanBytes(set.MaxMemory))
	t.line("maxmemory_policy", set.MaxMemoryPolicy.String())
	t.line("mem_fragmentation_ratio", fmt.Sprintf("%.2f", float64(rss)/float64(max(used, 1))))
	t.line("mem_allocator", "go")
	t.line("mem_log_cache", t.cluster.LogCache)
	mem := t.Memory.Figures()
	t.line("mem_clients_slaves", 0)
	t.line("mem_clients_normal", mem.Total)
	t.line("mem_clients_output", mem.Of[clientmem.Unread]+mem.Of[clientmem.Push])
	t.line("maxmemory_clients", set.MaxMemoryClients)
}

// residentBytes is the resident set of the process; 0 where the system does
// not tell.
func residentBytes() int64 {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	var size, resident int64
	if _, err := fmt.Sscan(string(b), &size, &resident); err != nil {
		return 0
	}
	return resident * int64(os.Getpagesize())
}

func humanBytes(n int64) string {
	switch {
	case n < 1<<10:
		return fmt.Sprintf("%dB", n)
	case n < 1<<20:
		return fmt.Sprintf("%.2fK", float64(n)/(1<<10))
	case n < 1<<30:
		return fmt.Sprintf("%.2fM", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%.2fG", float64(n)/(1<<30))
}

// infoPersistence: every acknowledged write is on disk, so nothing is ever
// unsaved.
func infoPersistence(t *infoText) {
	t.flag("loading", t.Facts.Loading())
	t.line("rdb_changes_since_last_save", 0)
	t.line("rdb_bgsave_in_progress", 0)
	t.line("rdb_last_bgsave_status", "ok")
	t.line("aof_enabled", 1)
	t.line("aof_rewrite_in_progress", 0)
	t.line("aof_last_write_status", "ok")
}

func infoStats(t *infoText) {
	c := t.Stats
	var calls int64
	for _, cmd := range c.Commands() {
		calls += cmd.Calls.Load()
	}
	t.line("total_connections_received", c.Connections.Load())
	t.line("total_commands_processed", calls)
	t.line("instantaneous_ops_per_sec", c.Rate.LastSecond(t.Facts.Now().Unix()))
	t.line("total_net_input_bytes", c.NetIn.Load())
	t.line("total_net_output_bytes", c.NetOut.Load())
	t.line("rejected_connections", c.RejectedConnections.Load())
	t.line("client_output_buffer_limit_disconnections", c.OutputCuts.Load())
	var evicted, expired uint64
	for _, sh := range t.cluster.Shards {
		evicted, expired = evicted+sh.Evicted, expired+sh.Expired
	}
	t.line("expired_keys", expired)
	t.line("evicted_keys", evicted)
	t.line("evicted_clients", t.Memory.Evicted())
	t.line("keyspace_hits", c.Hits.Load())
	t.line("keyspace_misses", c.Misses.Load())
	t.line("total_error_replies", c.Errors.Total())
}

// infoReplication: every node serves writes, its own or by forwarding, so every
// node is a master to those who ask.
func infoReplication(t *infoText) {
	t.line("role", "master")
	n := 0
	for _, node := range t.cluster.Nodes {
		if node.ID == t.cluster.Self || node.State != router.StateUp {
			continue
		}
		host, port := router.HostPort(node.RESP)
		fmt.Fprintf(&t.Builder, "slave%d:ip=%s,port=%d,state=online,offset=%d,lag=0\r\n", n, host, port, t.applied())
		n++
	}
	t.line("connected_slaves", n)
	t.line("master_failover_state", "no-failover")
	t.line("master_replid", t.Facts.RunID)
	t.line("master_repl_offset", t.applied())
}

// applied is the sum of the applied indexes of all shards.
func (t *infoText) applied() uint64 {
	var n uint64
	for _, f := range t.shards {
		n += f.index
	}
	return n
}

func infoCPU(t *infoText) {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return
	}
	t.line("used_cpu_sys", fmt.Sprintf("%.6f", float64(u.Stime.Sec)+float64(u.Stime.Usec)/1e6))
	t.line("used_cpu_user", fmt.Sprintf("%.6f", float64(u.Utime.Sec)+float64(u.Utime.Usec)/1e6))
}

func infoCommandstats(t *infoText) {
	for _, c := range t.Stats.Commands() {
		calls, micros, rejected := c.Calls.Load(), c.Micros.Load(), c.Rejected.Load()
		if calls == 0 && rejected == 0 {
			continue
		}
		fmt.Fprintf(&t.Builder, "cmdstat_%s:calls=%d,usec=%d,usec_per_call=%.2f,rejected_calls=%d,failed_calls=%d\r\n",
			c.Name(), calls, micros, float64(micros)/float64(max(calls, 1)), rejected, c.Failed.Load())
	}
}

func infoErrorstats(t *infoText) {
	for _, e := range t.Stats.Errors.List() {
		fmt.Fprintf(&t.Builder, "errorstat_%s:count=%d\r\n", e.Code, e.Count)
	}
}

func infoLatencystats(t *infoText) {
	for _, c := range t.Stats.Commands() {
		if c.Calls.Load() == 0 {
			continue
		}
		counts := c.Histogram()
		fmt.Fprintf(&t.Builder, "latency_percentiles_usec_%s:p50=%d,p99=%d,p99.9=%d\r\n",
			c.Name(), stats.Percentile(counts, 0.5), stats.Percentile(counts, 0.99), stats.Percentile(counts, 0.999))
	}
}

func infoKeyspace(t *infoText) {
	keys, volatile, ttl := 0, 0, 0.0
	for _, f := range t.shards {
		keys += f.keys
		volatile += f.volatile
		ttl += f.ttl
	}
	if keys > 0 {
		fmt.Fprintf(&t.Builder, "db0:keys=%d,expires=%d,avg_ttl=%d\r\n", keys, volatile, int64(ttl/float64(max(volatile, 1))))
	}
}

func infoLocks(t *infoText) {
	held, waiters, bytes := 0, 0, int64(0)
	for _, f := range t.shards {
		held, waiters, bytes = held+f.locks, waiters+f.waiters, bytes+f.lockBytes
	}
	t.line("locks_held", held)
	t.line("lock_waiters", waiters)
	t.line("lock_bytes", bytes)
}

func infoLockstep(t *infoText) {
	t.line("lockstep_version", t.Facts.Version)
	t.line("cluster_id", t.cluster.ID)
	t.line("node_id", t.cluster.Self)
	for _, n := range t.cluster.Nodes {
		if n.ID == t.cluster.Self {
			t.line("http_address", n.HTTP)
		}
	}
	t.line("nodes", len(t.cluster.Nodes))
	t.line("shards", len(t.Shards))
	for _, sh := range t.cluster.Shards {
		f := shardFigures{}
		if sh.ID < len(t.shards) {
			f = t.shards[sh.ID]
		}
		fmt.Fprintf(&t.Builder, "shard%d:leader=%s,term=%d,applied=%d,keys=%d,used_memory=%d\r\n",
			sh.ID, sh.Leader, sh.Term, sh.AppliedIndex, f.keys, f.used)
	}
	reads, writes := t.latencies()
	for _, l := range []struct {
		name   string
		counts []int64
	}{{"read", reads}, {"write", writes}} {
		t.line(l.name+"_latency_p50_usec", stats.Percentile(l.counts, 0.5))
		t.line(l.name+"_latency_p99_usec", stats.Percentile(l.counts, 0.99))
	}
}

// latencies adds up the histograms of all data commands.
func (t *infoText) latencies() (reads, writes []int64) {
	reads, writes = make([]int64, stats.Buckets), make([]int64, stats.Buckets)
	for _, c := range t.Stats.Commands() {
		if c.Spec.Parse == nil {
			continue
		}
		sum := reads
		if c.Spec.Flags.Has(command.Write) {
			sum = writes
		}
		for i, n := range c.Histogram() {
			sum[i] += n
		}
	}
	return reads, writes
}
