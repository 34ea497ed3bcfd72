package lock

import (
	"errors"

	"github.com/lockstepkv/lockstep/fsm/wait"
)

// Bounds of what a request may ask for.
const (
	MaxNameBytes  = 512
	MaxOwnerBytes = 256
	MaxTokenBytes = 64
	MaxTTLMillis  = 7 * 24 * 60 * 60 * 1000
	MaxWaitMillis = 24 * 60 * 60 * 1000
)

// maxBytes bounds what locks and waiters of one shard may take, by the arithmetic
// of cost. Locks do not count against the limit for keys: they must work when the
// cache is full.
const maxBytes = 256 << 20

// itemBytes is what a lock or a waiter takes besides its strings.
const itemBytes = 320

func cost(name, token, owner string) int64 {
	return int64(itemBytes + len(name) + len(token) + len(owner))
}

// Request asks for a lock.
type Request struct {
	Name, Token, Owner string
	TTLMillis          int64
	WaitMillis         int64 // 0: do not wait
	// Node and Boot tell where the client is connected. When that node is gone
	// for good its waiters are dropped.
	Node string
	Boot uint64
}

// Errors of Validate.
var (
	ErrName  = errors.New("lock name must have 1 to 512 bytes")
	ErrOwner = errors.New("lock owner must have at most 256 bytes")
	ErrToken = errors.New("lock token must have 1 to 64 bytes")
	ErrTTL   = errors.New("lock ttl must be 1 to 604800000 milliseconds")
	ErrWait  = errors.New("lock wait must be 0 to 86400000 milliseconds")
)

// Validate reports what Acquire would not take.
func (r *Request) Validate() error {
	switch {
	case !validName(len(r.Name)):
		return ErrName
	case len(r.Owner) > MaxOwnerBytes:
		return ErrOwner
	case len(r.Token) == 0 || len(r.Token) > MaxTokenBytes:
		return ErrToken
	case r.WaitMillis < 0 || r.WaitMillis > MaxWaitMillis:
		return ErrWait
	}
	return ValidateTTL(r.TTLMillis)
}

// ValidateName reports whether a lock can have that name.
func ValidateName(name []byte) error {
	if !validName(len(name)) {
		return ErrName
	}
	return nil
}

func validName(length int) bool { return length > 0 && length <= MaxNameBytes }

// ValidateTTL reports whether a lock can be held that long.
func ValidateTTL(millis int64) error {
	if millis < 1 || millis > MaxTTLMillis {
		return ErrTTL
	}
	return nil
}

// Grant is the right to a lock.
type Grant struct {
	Fence uint64
	// ExpiresAt is when it ends by the wall clock of the log, Unix milliseconds, as
	// it looked when the grant was told. What counts is the log's monotonic time.
	ExpiresAt int64
}

// Status is the answer to a request.
type Status uint8

// The answers to a request.
const (
	Held    Status = iota // by another, and the request does not wait
	Granted               // or granted before, to the same token
	Queued                // the token waits
	Full                  // too many locks and waiters
)

// held is a lock that somebody holds.
type held struct {
	name, token, owner string
	ttl                int64
	fence              uint64
	timer              wait.Timer[*held] // when the grant ends
	sum                uint64            // what the grant adds to the table's running sum
	tree               branches          // see order
}

// Table holds the locks of one shard. Its time is the monotonic time of the log,
// in milliseconds: no setting of a clock shortens a lock or a wait.
type Table struct {
	locks     map[string]*held
	order     order              // the same locks
	grants    wait.Timers[*held] // the same locks
	queues    *wait.Queues       // who waits for them
	sum       uint64             // of the hashes of grants; see Sum
	lastFence uint64
	floor     uint64 // fences must be higher, because a restored backup had them
	bytes     int64  // of the locks
	marks     marks
	collect   bool
	events    []Event
	// wall is the log's wall clock minus its monotonic time, as of the newest entry:
	// for fences, and for what clients are told. No part of the table's state.
	wall int64
}

// NewTable returns an empty table. It collects events if asked to.
func NewTable(collectEvents bool) *Table {
	return &Table{
		locks:   make(map[string]*held),
		queues:  wait.New(wait.Options{Cost: waiterCost, Hash: waiterHash}),
		marks:   newMarks(),
		collect: collectEvents,
	}
}

// Acquire gives the lock to r's token, or a place in the queue, or neither. A
// token that holds the lock gets the same grant again. holder is the owner of
// the grant in force. r was validated.
func (t *Table) Acquire(now int64, r Request) (status Status, g Grant, holder string) {
	l := t.locks[r.Name]
	switch {
	case l != nil && l.token == r.Token:
		return Granted, t.grant(l), l.owner
	case l != nil && t.queues.Find(Topic(r.Name), r.Token) != nil:
		return Queued, t.grant(l), l.owner
	case l != nil && r.WaitMillis == 0:
		return Held, t.grant(l), l.owner
	case t.Bytes()+cost(r.Name, r.Token, r.Owner) > maxBytes:
		return Full, Grant{}, ""
	case l != nil:
		t.queues.Join(waiterOf(&r, now), Topic(l.name))
		return Queued, t.grant(l), l.owner
	}
	l = &held{name: r.Name}
	t.put(l)
	t.bytes += cost(r.Name, r.Token, r.Owner)
	t.give(l, now, r.Token, r.Owner, r.TTLMillis, wait.Session{Node: r.Node, Boot: r.Boot})
	return Granted, t.grant(l), l.owner
}

// put makes l one of the locks.
func (t *Table) put(l *held) {
	l.timer.Topic, l.timer.Of = Topic(l.name), l
	t.locks[l.name] = l
	t.order.add(l)
}

// grant is what clients are told of l's grant.
func (t *Table) grant(l *held) Grant {
	return Grant{Fence: l.fence, ExpiresAt: l.timer.At + t.wall}
}

// SetWall says by how much the log's wall clock is ahead of its monotonic time.
func (t *Table) SetWall(millis int64) { t.wall = millis }

// give makes token the holder of l, whose bytes are accounted for already.
func (t *Table) give(l *held, now int64, token, owner string, ttl int64, to wait.Session) {
	l.token, l.owner, l.ttl = token, owner, ttl
	key, seen := markKey(l.name), uint64(0)
	if m := t.marks.byKey[key]; m != nil {
		seen = m.fence
	}
	l.fence = t.nextFence(now+t.wall, seen)
	t.schedule(l, now+ttl)
	t.marks.grant(now, l.name, key, l.fence)
	t.emit(Event{
		Kind: EventGranted, Name: l.name, Owner: owner, Token: token,
		Fence: l.fence, ExpiresAt: t.grant(l).ExpiresAt, Node: to.Node, Boot: to.Boot,
	})
}

// drop takes w out of its queue for the given reason.
func (t *Table) drop(w *wait.Waiter, why Reason) {
	t.queues.Leave(w)
	_, owner := wants(w)
	t.emit(Event{
		Kind: EventWaiterGone, Reason: why, Name: w.Topic().Key, Owner: owner,
		Token: w.ID, Node: w.Session.Node, Boot: w.Session.Boot,
	})
}

// Renew lets the holder's time count from now on, and be ttl.
func (t *Table) Renew(now int64, name, token []byte, ttl int64) (Grant, bool) {
	l := t.locks[string(name)]
	if l == nil || l.token != string(token) {
		return Grant{}, false
	}
	l.ttl = ttl
	t.schedule(l, now+ttl)
	return t.grant(l), true
}

// Release ends the grant of token, and grants the lock to the next waiter.
func (t *Table) Release(now int64, name, token []byte) bool {
	l := t.locks[string(name)]
	if l == nil || l.token != string(token) {
		return false
	}
	t.lose(l, now, Released)
	return true
}

// Cancel takes a waiting token out of the queue. A token that holds the lock by
// now keeps it, and the grant is returned, unless release says to give it up.
func (t *Table) Cancel(now int64, name, token []byte, release bool) (Grant, bool) {
	l := t.locks[string(name)]
	switch {
	case l == nil:
	case l.token == string(token) && !release:
		return t.grant(l), true
	case l.token == string(token):
		t.lose(l, now, Released)
	default:
		if w := t.queues.Find(Topic(l.name), string(token)); w != nil {
			t.drop(w, Cancelled)
		}
	}
	return Grant{}, false
}

// lose ends l's grant and gives the lock to the next waiter, if there is one.
func (t *Table) lose(l *held, now int64, why Reason) {
	t.emit(Event{Kind: EventLost, Reason: why, Name: l.name, Owner: l.owner, Fence: l.fence})
	t.bytes -= cost(l.name, l.token, l.owner)
	for w := range t.queues.At(Topic(l.name)) {
		if w.Deadline <= now {
			t.drop(w, TimedOut)
			continue
		}
		t.queues.Leave(w)
		ttl, owner := wants(w)
		t.bytes += cost(l.name, w.ID, owner)
		t.give(l, now, w.ID, owner, ttl, w.Session)
		return
	}
	t.unschedule(l)
	delete(t.locks, l.name)
	t.order.remove(l.name)
}

// Break ends a grant, whoever holds the lock, and returns what it was; false if nobody
// does, or if fence is not 0 and not that of the grant. The next waiter gets the lock.
// Without one a fence is used up, so that this shard takes no more writes with that of
// the grant.
func (t *Table) Break(now int64, name []byte, fence uint64) (Info, bool) {
	l := t.locks[string(name)]
	if l == nil || fence != 0 && l.fence != fence {
		return Info{}, false
	}
	was := t.info(l)
	t.lose(l, now, Forced)
	if t.locks[l.name] == nil {
		t.marks.grant(now, l.name, markKey(l.name), t.nextFence(now+t.wall, was.Fence))
	}
	return was, true
}

// Advance ends what is over by now: grants, and waits.
func (t *Table) Advance(now int64) {
	for {
		grant, w := t.grants.First(), t.queues.Next()
		switch {
		case w != nil && w.Deadline <= now && (grant == nil || w.Moment().Before(grant.Moment)):
			t.drop(w, TimedOut)
		case grant != nil && grant.At <= now:
			t.lose(grant.Of, now, Expired)
		default:
			t.marks.age(now)
			return
		}
	}
}

// LeaderStart lets the time of every grant count from now on, unless it is
// longer anyway: while there was no leader nobody could renew.
func (t *Table) LeaderStart(now int64) {
	for _, l := range t.locks {
		if end := now + l.ttl; end > l.timer.At {
			t.schedule(l, end)
		}
	}
}

// DropNode takes the waiters of a node's earlier lives out of their queues.
func (t *Table) DropNode(node string, before uint64) {
	for _, w := range t.queues.OfNode(node, before) {
		t.drop(w, NodeGone)
	}
}

// Stands tells where a token stands: Granted, Queued, or Held, which here means
// neither.
func (t *Table) Stands(name, token string) (Status, Grant) {
	l := t.locks[name]
	switch {
	case l == nil:
	case l.token == token:
		return Granted, t.grant(l)
	case t.queues.Find(Topic(name), token) != nil:
		return Queued, Grant{}
	}
	return Held, Grant{}
}

// Info describes a lock that is held.
type Info struct {
	Grant
	Owner     string
	TTLMillis int64
	Ends      int64 // monotonic time of the log
	Waiters   int
}

// Info returns what is known of a lock; false means that it is free.
func (t *Table) Info(name []byte) (Info, bool) {
	l := t.locks[string(name)]
	if l == nil {
		return Info{}, false
	}
	return t.info(l), true
}

func (t *Table) info(l *held) Info {
	return Info{Grant: t.grant(l), Owner: l.owner, TTLMillis: l.ttl, Ends: l.timer.At, Waiters: t.queues.Len(Topic(l.name))}
}

// NextDue returns when the next grant or wait is over; ok is false if none is.
func (t *Table) NextDue() (at int64, ok bool) {
	grant, w := t.grants.First(), t.queues.Next()
	switch {
	case grant == nil && w == nil:
		return 0, false
	case w == nil || grant != nil && grant.At < w.Deadline:
		return grant.At, true
	}
	return w.Deadline, true
}

// WaitingSessions lists the lives of nodes that have waiters, in order.
func (t *Table) WaitingSessions() []wait.Session { return t.queues.Sessions() }

// Len is the number of locks held, Waiters of those who wait, Bytes what both
// take.
func (t *Table) Len() int     { return len(t.locks) }
func (t *Table) Waiters() int { return t.queues.Waiting() }
func (t *Table) Bytes() int64 { return t.bytes + t.queues.Bytes() }
