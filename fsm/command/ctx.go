package command

import (
	"math/rand/v2"

	"github.com/lockstepkv/lockstep/fsm/lock"
	"github.com/lockstepkv/lockstep/resp"
	"github.com/lockstepkv/lockstep/store"
	"github.com/lockstepkv/lockstep/store/effect"
	"github.com/lockstepkv/lockstep/store/keyslot"
)

// Ctx is all that a command may know of the world.
//
// 30 fields: it is filled once for all commands of a batch or a read, and in one piece, so that
// a command costs no allocation.
type Ctx struct {
	Table *Table
	Store *store.Store

	// Slots are those that this shard owns. Nil: all.
	Slots *keyslot.Set

	// Effects are told what commands change. Nil where nobody wants to know.
	Effects *effect.Log

	// Now is the log clock in Unix milliseconds: the stamp of the newest
	// applied log entry. Whether a key exists is judged by it alone.
	Now int64

	// Wall is the leader's log clock when the read was confirmed, in Unix
	// milliseconds, never before Now. In the log it equals Now. Reads use it to
	// report remaining lifetimes.
	Wall int64

	// Mono and MonoAhead are the same of the log's monotonic time, in milliseconds:
	// the time in which there was a leader. Locks and idempotency ids live by it.
	Mono, MonoAhead int64

	// InLog is true when the command runs from a log entry, on every replica.
	InLog bool

	// Due is set when a read met a key whose time is up by Wall but not yet by
	// Now, or a lock by MonoAhead and not by Mono. The shard then moves the log clock and runs the read
	// again; the reply that was computed is thrown away.
	Due bool

	// OOMLimit, in bytes, is the memory limit that DenyOOM commands are held
	// to; 0 means no limit, NoDisk that all are refused. It comes from the log entry.
	OOMLimit int64

	// FormerSizes: OOMLimit is by store.UsedFormerly.
	FormerSizes bool

	// ValueLimit, in bytes, is how long APPEND and SETRANGE may make a value; 0
	// means Redis's own limit. It comes from the log entry, because what each
	// node is configured to accept may differ, and the replicas must not.
	ValueLimit int64

	// ReplyBytes is what the replies take that the state machine keeps for the node
	// that asks, with those of this batch so far. It counts in the log, and outside
	// of it with BoundReplies: for clients whose replies are made as a whole.
	ReplyBytes   int
	BoundReplies bool

	// Limits say how far values are packed. They are part of the shard's state.
	Limits *store.Limits

	// Seed makes Rand the same on every replica. It comes from the log index
	// and the position within the entry.
	Seed uint64

	// Once remembers the replies of idempotent commands. Nil outside the log.
	Once OnceTable

	// Records are those of Once, for reads.
	Records OnceRecords

	// Owner is whom the memory for that is counted to: the client's address. Empty:
	// nobody.
	Owner []byte

	// Locks are the shard's locks.
	Locks *lock.Table

	// NoTouch makes reads leave no trace in the access data (CLIENT NO-TOUCH).
	NoTouch bool

	// ReadLog remembers the keys that reads found. Nil where nobody wants to know.
	ReadLog *store.ReadLog

	// Hits and Misses count the keys that reads found and did not find, as
	// Redis's keyspace_hits and keyspace_misses do.
	Hits, Misses int

	inMulti bool // a transaction runs
	begun   int  // mark of Effects: see Begin

	// OnceID is the idempotency id under which a command runs, or nil: the memory for
	// ids must have room for the reply.
	OnceID []byte

	rng     *rand.Rand
	rngSeed uint64
}

// OnceState is what is known of an idempotency id.
type OnceState uint8

// The states of an id.
const (
	OnceNew       OnceState = iota // it may run
	OnceDone                       // it ran
	OnceForgotten                  // it ran, and its reply is no longer kept
	OnceFull                       // it is new, and there is no memory to remember it
	OnceShare                      // the same, for this owner
)

// Err is why a command does not run under an id, or nil.
func (is OnceState) Err() error {
	switch is {
	case OnceForgotten:
		return errOnceForgotten
	case OnceFull:
		return errOnceFull
	case OnceShare:
		return errOnceShare
	}
	return nil
}

// OnceRecords are the replies of commands that ran under an idempotency id.
type OnceRecords interface {
	// Recorded looks id up and changes nothing. For OnceDone fingerprint is that of the
	// command that ran, and reply what it answered.
	Recorded(id []byte) (reply resp.Value, fingerprint uint64, is OnceState)
}

// OnceTable holds the replies of commands that ran under an idempotency id.
type OnceTable interface {
	// Begin looks id up. For OnceDone fingerprint is that of the command that
	// ran, and reply what it answered. Memory for a new id is counted to owner.
	Begin(id, owner []byte) (reply resp.Value, fingerprint uint64, is OnceState)
	// Room tells whether a reply of so many bytes can be remembered for a new id:
	// OnceNew, OnceFull or OnceShare.
	Room(id, owner []byte, bytes int) OnceState
	// Finish remembers the reply of id, the slot of the keys of its command and its
	// fingerprint. It copies id and owner; reply is immutable.
	Finish(id, owner []byte, slot uint16, now int64, fingerprint uint64, reply resp.Value)
	// Forget lets id be used again, as if it had not been.
	Forget(id []byte)
}

// Rand returns the random source of this command: that of Seed in the log, any
// other outside of it.
func (c *Ctx) Rand() *rand.Rand {
	switch {
	case c.rng != nil && c.rngSeed == c.Seed:
	case !c.InLog && c.Seed == 0:
		c.rng = rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
	default:
		c.rng = rand.New(rand.NewPCG(c.Seed, 0x9e3779b97f4a7c15))
	}
	c.rngSeed = c.Seed
	return c.rng
}

// Lookup returns the live entry of key, or nil. It counts as an access for the
// eviction policies.
func (c *Ctx) Lookup(key []byte) *store.Entry {
	e := c.Peek(key)
	if e != nil && !c.NoTouch {
		c.Store.Touch(e, c.Wall)
		if c.ReadLog != nil {
			c.ReadLog.Note(key)
		}
	}
	return e
}

// Read is Lookup for commands that count as hits and misses.
func (c *Ctx) Read(key []byte) *store.Entry { return c.Count(c.Lookup(key)) }

// LookupOf is Lookup for commands on values of one type. The error is WRONGTYPE.
func (c *Ctx) LookupOf(t store.Type, key []byte) (*store.Entry, error) {
	return OfType(t, c.Lookup(key))
}

// ReadOf is Read for commands on values of one type. The error is WRONGTYPE.
func (c *Ctx) ReadOf(t store.Type, key []byte) (*store.Entry, error) {
	return OfType(t, c.Read(key))
}

// OfType returns e, nil for absent, or an error if it is of another type.
func OfType(t store.Type, e *store.Entry) (*store.Entry, error) {
	if e != nil && e.Type() != t {
		return nil, ErrWrongType
	}
	return e, nil
}

// Glance is Read without counting as an access.
func (c *Ctx) Glance(key []byte) *store.Entry { return c.Count(c.Peek(key)) }

// Count notes whether a read found e, nil for absent, and returns it.
func (c *Ctx) Count(e *store.Entry) *store.Entry {
	if e == nil {
		c.Misses++
	} else {
		c.Hits++
	}
	return e
}

// Peek is Lookup without counting as an access.
func (c *Ctx) Peek(key []byte) *store.Entry {
	e := c.Store.Get(key)
	if e == nil || !c.Live(e) {
		return nil
	}
	return e
}

// Live reports whether e's time is not up, and notes it when the node's clock
// and the log clock disagree about that.
func (c *Ctx) Live(e *store.Entry) bool {
	at := e.ExpireAt()
	if at == 0 {
		return true
	}
	if at <= c.Now {
		return false
	}
	if at <= c.Wall {
		c.Due = true
	}
	return true
}
