package router

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lockstepkv/lockstep/api/clientmem"
	"github.com/lockstepkv/lockstep/api/stats"
	"github.com/lockstepkv/lockstep/api/waiting"
	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/resp"
	"github.com/lockstepkv/lockstep/store/keyslot"
)

// Router runs commands. It is safe for concurrent use; a Session is not.
type Router struct {
	node  Node
	table *command.Table
	cfg   Config
	log   *slog.Logger
	now   func() time.Time

	layout
	life
	plans   map[string]*plan // by lower-case name
	blocked *waiting.Clients

	settings  *Live
	passwords atomic.Pointer[passwords]
	logins    *logins

	sessions  registry
	clients   *clientmem.Budget
	evictions evictionLog
	stats     *stats.Server
	slowlog   SlowLog // nil: nobody wants to know
}

// layout is where keys are.
type layout struct {
	shards  []Shard
	sharded bool
	cluster bool // shown to clients as a node of a Redis Cluster
}

// life is where a node stands between its start and its end.
type life struct {
	loading  atomic.Bool // it has not served yet
	draining atomic.Bool // it takes no new requests
	stopping chan struct{}
	stopOnce sync.Once
}

// plan is a Spec with all that the router knows about it.
type plan struct {
	spec  *command.Spec
	name  string // lower case; "config|get" for a subcommand
	h     handler
	subs  map[string]*plan
	write bool
	stats *stats.Command

	// runnable: a handler or a Parse exists, or it runs the queue, the reply to which
	// comes from a shard. False for a bare container.
	runnable bool
}

func (p *plan) has(f command.Flags) bool { return p.spec.Flags.Has(f) }

// handler runs a command on this node.
type handler struct {
	Handler
	// once runs the command within one that makes its retry safe; args are those of both.
	once func(ctx context.Context, s *Session, args command.Args) resp.Value
}

// New returns a Router for node that speaks the commands of table: Commands and those of the
// rooms too, see package rooms.
func New(node Node, table *command.Table, cfg Config) (*Router, error) {
	cfg = cfg.withDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	r := &Router{
		node: node, table: table, cfg: cfg, log: cfg.Logger, now: cfg.Now,
		layout: layout{shards: node.Shards()}, life: life{stopping: make(chan struct{})},
		plans: make(map[string]*plan), stats: stats.New(table.Specs()),
	}
	r.sharded = len(r.shards) > 1
	r.cluster = cfg.Cluster == ClusterOn || cfg.Cluster == ClusterAuto && r.sharded
	if r.sharded && !r.cluster && cfg.Redirect != RedirectForward {
		return nil, ErrBadCluster
	}
	for slot := range uint16(keyslot.Count) {
		if shard := r.shardOf(slot); shard < 0 || shard >= len(r.shards) {
			return nil, fmt.Errorf("router: slot %d is on unknown shard %d", slot, shard)
		}
	}
	r.loading.Store(cfg.Loading)
	if r.clients = cfg.Clients; r.clients == nil {
		r.clients = clientmem.New(0)
	}
	r.settings = newLive(&cfg, r.clients)
	r.blocked = waiting.New(waiting.Config{RequestTimeout: cfg.RequestTimeout, Failed: r.failWait, Stopping: r.stopping})
	r.SetPasswords(cfg.Passwords)
	r.logins = newLogins(cfg.Logger)
	if err := r.buildPlans(); err != nil {
		return nil, err
	}
	if cfg.Registerer != nil {
		if err := cfg.Registerer.Register(&collector{r}); err != nil {
			return nil, fmt.Errorf("router: metrics: %w", err)
		}
	}
	return r, nil
}

func (r *Router) buildPlans() error {
	hs, err := r.handlers(r.cfg.Rooms)
	if err != nil {
		return err
	}
	for _, sp := range r.table.Specs() {
		p := r.newPlan(sp, r.handlerOf(hs, sp, nil))
		r.plans[p.name] = p
		for _, sub := range sp.Sub {
			if p.subs == nil {
				p.subs = make(map[string]*plan)
			}
			child := r.newPlan(sub, r.handlerOf(hs, sub, sp))
			p.subs[child.name[len(p.name)+1:]] = child
		}
	}
	return nil
}

func (r *Router) newPlan(sp *command.Spec, h handler) *plan {
	return &plan{
		spec: sp, name: sp.Name, h: h, stats: r.stats.Command(sp.Name),
		write:    sp.Flags.Has(command.Write),
		runnable: sp.Parse != nil || h.Run != nil || sp.Flags.Has(command.RunsQueue),
	}
}

// Drain refuses new requests for data from now on; those that have begun are answered.
func (r *Router) Drain() { r.draining.Store(true) }

// Loading reports whether requests for data are refused because the node is starting.
func (r *Router) Loading() bool { return r.loading.Load() }

// Loaded lets requests for data in; see Config.Loading.
func (r *Router) Loaded() { r.loading.Store(false) }

// refuses is the answer to every request for data while this node starts or stops.
func (r *Router) refuses() (resp.Value, bool) {
	switch {
	case r.draining.Load():
		return errDraining, true
	case r.loading.Load():
		return errLoading, true
	}
	return resp.Value{}, false
}

// Stop ends what clients wait for, such as locks and streams of events. Other
// commands still run.
func (r *Router) Stop() { r.stopOnce.Do(func() { close(r.stopping) }) }

// Stopping is closed by Stop.
func (r *Router) Stopping() <-chan struct{} { return r.stopping }

// Wait returns when nothing goes on for clients that are gone. It is called once
// no client is left, before the shards stop.
func (r *Router) Wait() { r.blocked.Wait() }

// Settings returns the current reloadable configuration.
func (r *Router) Settings() Settings { return *r.settings.Load() }

// ClientCount returns the number of connected clients.
func (r *Router) ClientCount() int { return r.sessions.Len() }

// CountRejectedConnection counts a connection refused because of maxclients.
func (r *Router) CountRejectedConnection() { r.stats.RejectedConnections.Add(1) }

// CountNetwork adds to the bytes read from and written to clients.
func (r *Router) CountNetwork(in, out int64) {
	r.stats.NetIn.Add(in)
	r.stats.NetOut.Add(out)
}

// Memory returns the budget of what clients hold.
func (r *Router) Memory() *clientmem.Budget { return r.clients }

// CountOutputCut counts a client that was cut off since it did not read its replies.
func (r *Router) CountOutputCut() { r.stats.OutputCuts.Add(1) }

// find returns the plan of a command, or nil when there is none or its
// subcommand is unknown.
func (r *Router) find(args command.Args) *plan {
	if len(args) == 0 {
		return nil
	}
	p := lookup(r.plans, args[0])
	if p == nil || p.subs == nil || len(args) < 2 {
		return p
	}
	return lookup(p.subs, args[1])
}

// lookup finds name in m whatever its case, without allocating.
func lookup(m map[string]*plan, name []byte) *plan {
	var buf [32]byte
	if len(name) > len(buf) {
		return nil
	}
	for i, c := range name {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		buf[i] = c
	}
	return m[string(buf[:len(name)])]
}

// Shards returns the number of shards.
func (r *Router) Shards() int { return len(r.shards) }

// Cluster returns the node's view of the cluster.
func (r *Router) Cluster() ClusterInfo { return r.node.Cluster() }

// TransferLeadership hands a shard over to another node.
func (r *Router) TransferLeadership(ctx context.Context, shard int, node string) error {
	return r.node.TransferLeadership(ctx, shard, node)
}

// newRunID returns 40 random hex digits, which name this run of the process.
func newRunID() string {
	var b [20]byte
	_, _ = rand.Read(b[:]) // crypto/rand never fails
	return hex.EncodeToString(b[:])
}

// IsWrite reports whether args is a command that changes data.
func (r *Router) IsWrite(args command.Args) bool {
	p := r.find(args)
	return p != nil && p.write
}

// OpensTransaction reports whether what comes after args is queued.
func (r *Router) OpensTransaction(args command.Args) bool {
	p := r.find(args)
	return p != nil && p.has(command.OpensQueue)
}

// IsKeyWrite reports whether args is a command that ONCE can wrap: a write to
// keys, other than ONCE itself.
func (r *Router) IsKeyWrite(args command.Args) bool {
	p := r.find(args)
	return p != nil && p.write && !p.has(command.Deduplicates) && p.spec.HasKeys()
}
