package command

import (
	"math/rand/v2"

	"github.com/lockstepkv/lockstep/resp"
	"github.com/lockstepkv/lockstep/store"
)

// Ctx is all that a command may know of the world.
type Ctx struct {
	Table *Table
	Store *store.Store

	// Now is the log clock in Unix milliseconds: the stamp of the newest
	// applied log entry. Whether a key exists is judged by it alone.
	Now int64

	// Wall is the serving node's clock in Unix milliseconds, never before Now.
	// In the log it equals Now. Reads use it to report remaining lifetimes.
	Wall int64

	// InLog is true when the command runs from a log entry, on every replica.
	InLog bool

	// Due is set by Lookup when a read met a key whose time is up by Wall but
	// not yet by Now. The shard then moves the log clock and runs the read
	// again; the reply that was computed is thrown away.
	Due bool

	// OOMLimit, in bytes, is the memory limit that DenyOOM commands are held
	// to; 0 means no limit. It comes from the log entry.
	OOMLimit int64

	// Seed makes Rand the same on every replica. It comes from the log index
	// and the position within the entry.
	Seed uint64

	// Once remembers the replies of idempotent commands. Nil outside the log.
	Once OnceTable

	rng *rand.Rand
}

// OnceTable holds the replies of commands that ran under an idempotency id.
type OnceTable interface {
	// Begin looks id up. hit: it ran before, and reply is what it answered.
	// forgotten: it ran before, but the reply is no longer kept.
	Begin(id []byte, now int64) (reply resp.Value, hit, forgotten bool)
	// Finish remembers the reply of id.
	Finish(id []byte, now int64, reply resp.Value)
}

// Rand returns the random source of this command.
func (c *Ctx) Rand() *rand.Rand {
	if c.rng == nil {
		c.rng = rand.New(rand.NewPCG(c.Seed, 0x9e3779b97f4a7c15))
	}
	return c.rng
}

// Lookup returns the live entry of key, or nil. It counts as an access for the
// eviction policies.
func (c *Ctx) Lookup(key []byte) *store.Entry {
	e := c.Peek(key)
	if e != nil {
		c.Store.Touch(e, c.Wall)
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
