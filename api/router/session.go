package router

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lockstepkv/lockstep/api/clientmem"
	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/resp"
)

// KindRESP and KindHTTP are the kinds of sessions. Sessions of HTTP requests
// are short: CLIENT LIST does not show them, and they are always forwarded.
const (
	KindRESP = "resp"
	KindHTTP = "http"
)

// Session is one client connection. All methods but those marked are for the
// connection's own goroutine.
type Session struct {
	r       *Router
	id      int64
	addr    string
	laddr   string
	kind    string
	forward bool // never redirect this client
	whole   bool // see command.Batch.Whole
	kill    func()
	gone    func() bool        // the client has closed its end; nil: not known
	mem     *clientmem.Account // what the client holds; nil: not counted
	created time.Time

	proto    int
	authed   bool
	readonly bool
	tx       *txn
	spent    int64 // bytes of transactions that run and are not queued any more
	watches  []watched
	// watchedKeys are those of watches.
	watchedKeys map[string]struct{}
	replies     replyMode
	muted       bool
	read        command.ReadOptions
	lastRead    command.ReadInfo
	wrote       atomic.Uint64 // see WriteIndex

	runs   []*run // by shard; made when first needed
	active []*run
	one    [1][][]byte
	oneOut [1]resp.Value

	// replyBytes is what the replies to the reads of an HTTP request take so far. They
	// are made as a whole before the client gets the first byte.
	replyBytes atomic.Int64

	closing    atomic.Bool  // the connection is to be closed after its replies
	queued     atomic.Int64 // commands in MULTI, -1 outside; for CLIENT LIST
	seen       atomic.Int64 // when the client last sent something, Unix ms
	protoSeen  atomic.Int64
	readonlyOn atomic.Bool
	last       atomic.Pointer[plan]
	noEvict    atomic.Bool
	noTouch    atomic.Bool

	mu   sync.Mutex // guards name
	name string
}

type replyMode uint8

const (
	repliesOn replyMode = iota
	repliesOff
	repliesSkipNext // the next command's reply is not sent
)

// SessionOption is a detail of a new session.
type SessionOption func(*Session)

// WithKill gives CLIENT KILL a way to end the connection: kill is called from
// another goroutine, at most once, and must not block.
func WithKill(kill func()) SessionOption {
	return func(s *Session) { s.kill = sync.OnceFunc(kill) }
}

// WithGone gives commands that wait a way to find out that their client is not
// there any more. gone is called from the connection's own goroutine.
func WithGone(gone func() bool) SessionOption { return func(s *Session) { s.gone = gone } }

// WithLocalAddr tells CLIENT LIST which address the client connected to.
func WithLocalAddr(addr string) SessionOption { return func(s *Session) { s.laddr = addr } }

// WithMemory has the session count what it holds in mem, which stays the caller's.
// Without it, the session of a connection has an account of its own.
func WithMemory(mem *clientmem.Account) SessionOption { return func(s *Session) { s.mem = mem } }

// Memory is where the connection counts what it holds besides the session; nil for a
// request over HTTP that holds little.
func (s *Session) Memory() *clientmem.Account { return s.mem }

// WithReadOptions sets the terms of all reads of the session.
func WithReadOptions(o command.ReadOptions) SessionOption {
	return func(s *Session) { s.read = o }
}

// WithWholeArguments says of a request over HTTP that each of its long arguments fills the
// memory that it lies in. Those of connections do; see resp.Reader.
func WithWholeArguments() SessionOption { return func(s *Session) { s.whole = true } }

// WithAuthenticated marks a client that has shown its password already.
func WithAuthenticated() SessionOption { return func(s *Session) { s.authed = true } }

// owner is to whom counts what the state machine keeps for this client.
func (s *Session) owner() string { return networkOf(s.addr) }

// NewSession starts the session of a client at addr.
func (r *Router) NewSession(addr, kind string, opts ...SessionOption) *Session {
	s := &Session{r: r, id: r.nextSession.Add(1), addr: addr, kind: kind, created: r.now(), proto: 2}
	s.forward = kind == KindHTTP || r.cfg.Redirect == RedirectForward || !r.sharded
	s.authed = !r.NeedsPassword()
	s.queued.Store(-1)
	s.protoSeen.Store(2)
	s.seen.Store(s.created.UnixMilli())
	for _, o := range opts {
		o(s)
	}
	if kind != KindHTTP {
		s.whole = true
		s.mem = r.clients.Open(s.evicted)
		r.sessions.add(s)
		r.counters.connections.Add(1)
	}
	return s
}

// Close ends the session.
func (s *Session) Close() {
	if s.kind != KindHTTP {
		s.r.sessions.remove(s)
		s.mem.Close()
	}
}

// ID returns the client's id, as CLIENT ID does.
func (s *Session) ID() int64 { return s.id }

// Proto returns the protocol version in which the replies of the last
// DoPipeline are to be written.
func (s *Session) Proto() int { return s.proto }

// Muted reports whether the replies of the last DoPipeline must not be sent
// (CLIENT REPLY OFF or SKIP).
func (s *Session) Muted() bool { return s.muted }

// Closing reports whether the connection is to be closed once the replies of
// the last DoPipeline are sent (QUIT, CLIENT KILL). Safe from any goroutine.
func (s *Session) Closing() bool { return s.closing.Load() }

// ReadInfo tells what the last read of this session was answered from.
func (s *Session) ReadInfo() command.ReadInfo { return s.lastRead }

// WriteIndex returns the largest log index of what this session has written, 0 when it
// has written nothing that was answered for certain. Safe from any goroutine.
func (s *Session) WriteIndex() uint64 { return s.wrote.Load() }

func (s *Session) noteWrite(index uint64) {
	for {
		old := s.wrote.Load()
		if index <= old || s.wrote.CompareAndSwap(old, index) {
			return
		}
	}
}

// LastSeen returns when the client last sent a command. Safe from any goroutine.
func (s *Session) LastSeen() time.Time { return time.UnixMilli(s.seen.Load()) }

// NeedsAuth reports whether the client has yet to show its password.
func (s *Session) NeedsAuth() bool { return !s.authed }

// killed ends a session from another goroutine.
func (s *Session) killed() {
	s.closing.Store(true)
	if s.kill != nil {
		s.kill()
	}
}

// evicted ends a session for want of memory.
func (s *Session) evicted() {
	s.r.tellEviction(s)
	s.killed()
}

// reset is RESET: the session as it was when the client connected.
func (s *Session) reset() {
	s.endTx()
	s.setReadonly(false)
	s.setProto(2)
	if s.replies == repliesOff { // RESET itself is answered then, but not after SKIP
		s.muted = false
	}
	s.replies = repliesOn
	s.setNoEvict(false)
	s.noTouch.Store(false)
	s.authed = !s.r.NeedsPassword()
	s.mu.Lock()
	s.name = ""
	s.mu.Unlock()
}

func (s *Session) setProto(v int) {
	s.proto = v
	s.protoSeen.Store(int64(v))
}

func (s *Session) setReadonly(on bool) {
	s.readonly = on
	s.readonlyOn.Store(on)
}

func (s *Session) setNoEvict(on bool) {
	if s.noEvict.Swap(on) != on {
		s.mem.Protect(on)
	}
}

func (s *Session) setName(name string) {
	s.mu.Lock()
	s.name = name
	s.mu.Unlock()
}

func (s *Session) getName() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.name
}

// registry holds the sessions that CLIENT LIST shows.
type registry struct {
	mu  sync.Mutex
	all map[int64]*Session // guarded by mu
}

func (g *registry) add(s *Session) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.all == nil {
		g.all = make(map[int64]*Session)
	}
	g.all[s.id] = s
}

func (g *registry) remove(s *Session) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.all, s.id)
}

func (g *registry) len() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.all)
}

// list returns the sessions in the order of their ids.
func (g *registry) list() []*Session {
	g.mu.Lock()
	out := make([]*Session, 0, len(g.all))
	for _, s := range g.all {
		out = append(out, s)
	}
	g.mu.Unlock()
	sortSessions(out)
	return out
}

func sortSessions(list []*Session) {
	slices.SortFunc(list, func(a, b *Session) int { return cmp.Compare(a.id, b.id) })
}
