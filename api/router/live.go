package router

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/lockstepkv/lockstep/api/clientmem"
)

// Live are the settings in force. They are read from anywhere, and changed one at a time.
type Live struct {
	inForce  atomic.Pointer[Settings]
	reloader Reloader          // nil: none
	clients  *clientmem.Budget // has the limit of maxmemory-clients
	least    int64             // see Config.MinClientMemory

	mu sync.Mutex // one change at a time
}

func newLive(cfg *Config, clients *clientmem.Budget) *Live {
	l := &Live{reloader: cfg.Reloader, clients: clients, least: cfg.MinClientMemory}
	settings := cfg.Settings
	l.inForce.Store(&settings)
	clients.SetLimit(settings.MaxMemoryClients)
	return l
}

// Load returns the settings in force. They do not change any more.
func (l *Live) Load() *Settings { return l.inForce.Load() }

// Share has this node and the others know the same settings of what they have in common.
func (l *Live) Share(ctx context.Context) {
	if l.reloader != nil {
		l.reloader.Share(ctx)
	}
}

// Change puts other settings in force where they take effect. change makes them and returns
// the names of the parameters that were given, also of those that stay as they were. An error
// of change, or of Reloader.Reload, leaves everything as it was.
func (l *Live) Change(ctx context.Context, change func(*Settings) (names []string, err error)) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	old := *l.Load()
	next := old
	names, err := change(&next)
	if err != nil {
		return err
	}
	if l.reloader != nil {
		if err := l.reloader.Reload(ctx, old, next, names); err != nil {
			return err
		}
	}
	l.put(&next)
	return nil
}

// put has the settings in force, the limit for clients included.
func (l *Live) put(next *Settings) {
	l.inForce.Store(next)
	if next.MaxMemoryClients != l.clients.Limit() {
		l.clients.SetLimit(next.MaxMemoryClients)
	}
}

// AdoptMemory takes over the memory settings of what current returns, since another node was
// told some. They are asked for here, so that those of a CONFIG SET that runs are among them.
// A limit for clients that is a percentage follows, but neither disappears with the limit for
// data nor comes below what the node needs.
func (r *Router) AdoptMemory(current func() Settings) { r.settings.adoptMemory(current) }

func (l *Live) adoptMemory(current func() Settings) {
	l.mu.Lock()
	defer l.mu.Unlock()
	next, m := *l.Load(), current()
	next.MaxMemory, next.MaxMemoryPolicy, next.MaxMemorySamples = m.MaxMemory, m.MaxMemoryPolicy, m.MaxMemorySamples
	next.LFULogFactor, next.LFUDecayTime, next.Limits = m.LFULogFactor, m.LFUDecayTime, m.Limits
	if next.ClientsPercent != 0 && next.ShareClients() {
		next.MaxMemoryClients = max(next.MaxMemoryClients, l.least)
	}
	l.put(&next)
}
