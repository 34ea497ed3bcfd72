package router

import (
	"context"
	"fmt"
	"maps"
	"strconv"
	"time"

	"github.com/lockstepkv/lockstep/api/clientmem"
	"github.com/lockstepkv/lockstep/api/stats"
	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/resp"
)

// Room is another package of api that runs commands, such as api/admin. Package rooms lists
// all.
type Room struct {
	Commands command.Group // what they are
	// Open is called once, when the router is made. A room gets no more of it than Services.
	Open func(Services) Offer
}

// Offer is what a room does.
type Offer struct {
	Handlers map[string]Handler // by the full name of a command, such as "config|get"
	Slow     SlowLog            // nil: none
}

// Handler runs a command that concerns the connection or the server.
type Handler struct {
	Run func(context.Context, *Session, command.Args) resp.Value
	// Inline handlers neither see nor change data: they need not wait for the
	// commands before them.
	Inline bool
	// Alone handlers change how replies are written. DoPipeline runs such a
	// command in a call of its own.
	Alone bool
	// Replies: says which replies are sent, and counts as none of the commands for which
	// it says so.
	Replies bool
}

// SlowLog is told what took long by the settings in force.
type SlowLog interface {
	// Spike is a run of commands that took longer than latency-monitor-threshold.
	Spike(took time.Duration)
	// Slow is one that took longer than slowlog-log-slower-than.
	Slow(SlowRun)
}

// SlowRun is a run of commands that took long together, as the commands of a batch do. It
// stands under its first command.
type SlowRun struct {
	Took     time.Duration
	Args     command.Args // without secrets; only for the time of the call
	Commands int
	Addr     string // of the client
	Name     string // of the client
}

// Services are what a room may use: each a narrow view of something that the router has.
type Services struct {
	Table    *command.Table
	Stats    *stats.Server
	Settings *Live
	Sessions Sessions
	Memory   *clientmem.Budget // of what clients hold
	Shards   []Reader          // by shard
	Cluster  Cluster
	Facts    Facts
}

// Reader reads a shard.
type Reader interface {
	Read(ctx context.Context, opt command.ReadOptions, q command.Query) (command.ReadInfo, error)
}

// Cluster is what a room may know of the cluster.
type Cluster interface {
	Cluster() ClusterInfo
	Holds(shard int) bool
}

// Sessions are the connected clients.
type Sessions interface {
	// List returns them in the order of their ids.
	List() []*Session
	Len() int
}

// Facts are what does not change while the process runs, but for those that are asked for.
type Facts struct {
	Version    string // of Lockstep
	RunID      string // of this run of the process
	Started    time.Time
	ConfigFile string
	Mode       string // "cluster" or "standalone", as clients see the node
	Timeout    time.Duration
	Static     map[string]string // parameters that CONFIG SET cannot change

	Now           func() time.Time
	Loading       func() bool // see Config.Loading
	NeedsPassword func() bool
}

// furnish asks the rooms what they do, and adds it to hs.
func (r *Router) furnish(hs map[string]handler, rooms []Room) error {
	for _, room := range rooms {
		offer := room.Open(r.services())
		for name, h := range offer.Handlers {
			if _, taken := hs[name]; taken || r.stats.Command(name) == nil {
				return fmt.Errorf("router: a room runs %q, which is no command or is run already", name)
			}
			hs[name] = handler{Handler: h}
		}
		if offer.Slow != nil {
			r.slowlog = offer.Slow
		}
	}
	return nil
}

func (r *Router) services() Services {
	shards := make([]Reader, len(r.shards))
	for i, sh := range r.shards {
		shards[i] = sh
	}
	return Services{
		Table: r.table, Stats: r.stats, Settings: r.settings, Sessions: &r.sessions, Memory: r.clients, Shards: shards, Cluster: r.node,
		Facts: Facts{
			Version: r.cfg.Version, RunID: newRunID(), Started: r.now(), ConfigFile: r.cfg.ConfigFile,
			Mode: r.mode(), Timeout: r.cfg.RequestTimeout, Static: r.static(),
			Now: r.now, Loading: r.Loading, NeedsPassword: r.NeedsPassword,
		},
	}
}

// static returns the parameters that cannot change while the node runs. Those
// of Redis that have one possible value here are answered with it, because
// tools ask for them.
func (r *Router) static() map[string]string {
	shown := "no"
	if r.cluster {
		shown = "yes"
	}
	out := map[string]string{
		"appendfsync": "always", "appendonly": "yes", "save": "", "databases": "1",
		"cluster-enabled": shown, "cluster-protocol": string(r.cfg.Cluster), "redirect": string(r.cfg.Redirect),
		"proto-max-bulk-len": strconv.Itoa(512 << 20),
	}
	maps.Copy(out, r.cfg.Static)
	return out
}

// slow tells of a run of n commands that took elapsed together.
func (r *Router) slow(s *Session, p *plan, args command.Args, n int, elapsed time.Duration) {
	if r.slowlog == nil {
		return
	}
	set := r.settings.Load()
	if set.LatencyMonitorThreshold > 0 && elapsed.Milliseconds() >= set.LatencyMonitorThreshold {
		r.slowlog.Spike(elapsed)
	}
	if set.SlowlogLogSlowerThan < 0 || elapsed.Microseconds() < set.SlowlogLogSlowerThan ||
		set.SlowlogMaxLen == 0 || p.spec.Flags.Has(command.SkipSlowlog) || r.table.IsSecret(args) {
		return
	}
	r.slowlog.Slow(SlowRun{Took: elapsed, Args: p.spec.Redacted(args), Commands: n, Addr: s.addr, Name: s.Name()})
}
