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
	r *Router
	peer
	terms
	transactions
	pipeline

	mem     *clientmem.Account   // what the client holds; nil: not counted
	view    atomic.Pointer[View] // what others see; see change
	authed  bool
	replies ReplyMode
	muted   bool // the replies of the last DoPipeline are not sent

	lastRead command.ReadInfo
	wrote    atomic.Uint64 // see WriteIndex
	// replyBytes is what the replies to the reads of an HTTP request take so far. They
	// are made as a whole before the client gets the first byte.
	replyBytes atomic.Int64

	closing atomic.Bool          // the connection is to be closed after its replies
	seen    atomic.Int64         // when the client last sent something, Unix ms
	last    atomic.Pointer[plan] // its newest command
}

// peer is a client's connection. It does not change.
type peer struct {
	id      int64
	addr    string
	laddr   string
	kind    string
	created time.Time
	kill    func()
	gone    func() bool // the client has closed its end; nil: not known
}

// terms are those on which all commands of a session run. They do not change.
type terms struct {
	forward bool // never redirect this client
	whole   bool // see command.Batch.Whole
	read    command.ReadOptions
}

// transactions is what a client has queued and watches.
type transactions struct {
	tx          *txn
	spent       int64 // bytes of transactions that run and are not queued any more
	watches     []watched
	watchedKeys map[string]struct{} // those of watches
}

// pipeline is what a session keeps of one pipeline for the next.
type pipeline struct {
	byShard []*pipelinePart // made when first needed
	active  []*pipelinePart
	one     [1][][]byte
	oneOut  [1]resp.Value
}

// View is what a client has made of its session. It is published as a whole, and a View
// never changes: who asks from outside sees one state, and the connection's own goroutine
// goes by the same.
type View struct {
	Name     string
	Proto    int  // of the replies
	Readonly bool // READONLY: reads of this node's memory will do
	NoEvict  bool
	NoTouch  bool
	Queued   int // commands in MULTI, -1 outside
}

// newView is every session's first.
var newView = &View{Proto: 2, Queued: -1}

// change publishes another view. Only the connection's own goroutine does so.
func (s *Session) change(how func(*View)) {
	next := *s.view.Load()
	how(&next)
	s.view.Store(&next)
}

// ReplyMode says which replies are sent.
type ReplyMode uint8

// The modes of CLIENT REPLY.
const (
	RepliesOn ReplyMode = iota
	RepliesOff
	RepliesSkipNext // the next command's reply is not sent
)

// SetReplies is CLIENT REPLY.
func (s *Session) SetReplies(m ReplyMode) {
	s.muted = m != RepliesOn
	if m != RepliesSkipNext || s.replies != RepliesOff {
		s.replies = m
	}
}

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
// memory that it lies in. Those of connections do; see resp.Reader and copyArgs.
func WithWholeArguments() SessionOption { return func(s *Session) { s.whole = true } }

// WithAuthenticated marks a client that has shown its password already.
func WithAuthenticated() SessionOption { return func(s *Session) { s.authed = true } }

// owner is to whom counts what the state machine keeps for this client.
func (s *Session) owner() string { return networkOf(s.addr) }

// NewSession starts the session of a client at addr.
func (r *Router) NewSession(addr, kind string, opts ...SessionOption) *Session {
	s := &Session{r: r, peer: peer{id: r.sessions.next(), addr: addr, kind: kind, created: r.now()}}
	s.forward = kind == KindHTTP || r.cfg.Redirect == RedirectForward || !r.sharded
	s.authed = !r.NeedsPassword()
	s.view.Store(newView)
	s.seen.Store(s.created.UnixMilli())
	for _, o := range opts {
		o(s)
	}
	if kind != KindHTTP {
		s.whole = true
		s.mem = r.clients.Open(s.evicted)
		r.sessions.add(s)
		r.stats.Connections.Add(1)
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
func (s *Session) Proto() int { return s.view.Load().Proto }

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

// Kill ends the connection. Safe from any goroutine.
func (s *Session) Kill() {
	s.closing.Store(true)
	if s.kill != nil {
		s.kill()
	}
}

// CloseAfterReplies ends the connection once the client has its replies. Safe from any
// goroutine.
func (s *Session) CloseAfterReplies() { s.closing.Store(true) }

// evicted ends a session for want of memory.
func (s *Session) evicted() {
	s.r.tellEviction(s)
	s.Kill()
}

// reset is RESET: the session as it was when the client connected.
func (s *Session) reset() {
	s.endTx()
	if s.replies == RepliesOff { // RESET itself is answered then, but not after SKIP
		s.muted = false
	}
	s.replies = RepliesOn
	s.SetNoEvict(false)
	s.view.Store(newView)
	s.authed = !s.r.NeedsPassword()
}

// SetNoEvict is CLIENT NO-EVICT.
func (s *Session) SetNoEvict(on bool) {
	if s.view.Load().NoEvict != on {
		s.change(func(v *View) { v.NoEvict = on })
		s.mem.Protect(on)
	}
}

// SetNoTouch is CLIENT NO-TOUCH.
func (s *Session) SetNoTouch(on bool) { s.change(func(v *View) { v.NoTouch = on }) }

// SetName names the client; see RefuseName.
func (s *Session) SetName(name string) { s.change(func(v *View) { v.Name = name }) }

// Name returns the client's name, empty without one. Safe from any goroutine.
func (s *Session) Name() string { return s.view.Load().Name }

// setQueued publishes how many commands are queued.
func (s *Session) setQueued(n int) {
	if s.view.Load().Queued != n {
		s.change(func(v *View) { v.Queued = n })
	}
}

// ClientInfo is what CLIENT LIST says of a client.
type ClientInfo struct {
	View
	ID              int64
	Addr, LocalAddr string
	Created         time.Time
	LastSeen        time.Time
	Command         string             // the newest, NULL before the first
	Memory          *clientmem.Account // nil: not counted
}

// Info returns what CLIENT LIST says of the client. Safe from any goroutine.
func (s *Session) Info() ClientInfo {
	i := ClientInfo{View: *s.view.Load(), ID: s.id, Addr: s.addr, LocalAddr: s.laddr, Created: s.created, LastSeen: s.LastSeen(), Command: "NULL", Memory: s.mem}
	if p := s.last.Load(); p != nil {
		i.Command = p.name
	}
	return i
}

// registry holds the sessions that CLIENT LIST shows.
type registry struct {
	ids atomic.Int64 // the newest
	mu  sync.Mutex
	all map[int64]*Session // guarded by mu
}

func (g *registry) next() int64 { return g.ids.Add(1) }

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

// Len returns how many there are.
func (g *registry) Len() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.all)
}

// List returns the sessions in the order of their ids.
func (g *registry) List() []*Session {
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
