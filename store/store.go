package store

import (
	"sync/atomic"

	"github.com/cespare/xxhash/v2"

	"github.com/lockstepkv/lockstep/store/keyslot"
)

// Store holds the keys of one shard. See the package comment for its rules of
// concurrency.
type Store struct {
	opt      Options
	dir      directory
	mem      memory
	slots    []uint32 // number of keys by hash slot
	sums     sums
	expiry   expiryIndex
	sieve    *sieveQueue // nil unless the policy is AllKeysSieve; see resetSieve
	n        int
	used     int64
	former   int64 // see UsedFormerly
	revision uint64
	removals removals
	adopted  []byte // see Adopt
	undo     *undo  // nil unless between Begin and Commit or Rollback

	// epoch is raised by Freeze. A page or table with a smaller epoch may be part
	// of a snapshot, and is copied before it changes while frozen is not zero.
	epoch  uint64
	frozen *atomic.Int64 // snapshots not yet released

	// valueEpoch is raised by Freeze and by Begin. A collection that was last
	// changed under another one may be seen as it was by a snapshot, or by the undo
	// of a transaction. While there are any, the writer goes on with one that shares
	// all parts with it and copies each before its first change.
	valueEpoch uint64

	clockMillis atomic.Int64
}

// New returns an empty store.
func New(o Options) *Store {
	s := &Store{frozen: new(atomic.Int64), slots: make([]uint32, SlotCount), sums: newSums()}
	s.mem = newMemory(s, tuning{limit: segmentLimit, least: leastSegment, slack: deadSlack})
	s.expiry.mem = &s.mem
	s.Reconfigure(o)
	return s
}

// Reconfigure changes the eviction settings.
func (s *Store) Reconfigure(o Options) {
	if o.Samples <= 0 {
		o.Samples = DefaultSamples
	}
	changed := o.Policy != s.opt.Policy
	s.opt = o
	if changed {
		s.resetSieve()
	}
}

// Options returns the settings in force.
func (s *Store) Options() Options { return s.opt }

// Len returns the number of keys.
func (s *Store) Len() int { return s.n }

// VolatileLen returns the number of keys with an expiry time.
func (s *Store) VolatileLen() int { return s.expiry.len() }

// Used returns the sum of Size over all entries.
func (s *Store) Used() int64 { return s.used }

// UsedFormerly is Used by the sizes that entries had before; see formerSize.
func (s *Store) UsedFormerly() int64 { return s.former }

// Revision returns the number of the newest mutation.
func (s *Store) Revision() uint64 { return s.revision }

// SetRevision continues the numbering of a store that this one was restored
// from. It never goes back.
func (s *Store) SetRevision(revision uint64) { s.revision = max(s.revision, revision) }

// Get returns the entry of key, or nil. It neither judges expiry nor counts as
// an access.
func (s *Store) Get(key []byte) *Entry { return s.get(str(key)) }

func (s *Store) get(key string) *Entry {
	hash := xxhash.Sum64String(key)
	t := s.dir.table(bucketOf(hash))
	if t == nil {
		return nil
	}
	return t.get(&s.mem.space, hashOf(hash), key)
}

// own returns bucket b's page and table ready to be changed.
func (s *Store) own(b int) (*page, *table) {
	shared := s.frozen.Load() > 0
	p := s.dir[b>>pageBits]
	switch {
	case p == nil:
		p = &page{}
		s.dir[b>>pageBits] = p
	case p.epoch != s.epoch && shared:
		p = &page{n: p.n, tables: p.tables}
		s.dir[b>>pageBits] = p
	}
	p.epoch = s.epoch
	t := p.tables[b&(pageLen-1)]
	switch {
	case t == nil:
		t = newTable(s.epoch, 2)
		p.tables[b&(pageLen-1)] = t
	case t.epoch != s.epoch && shared:
		t = t.clone(s.epoch)
		p.tables[b&(pageLen-1)] = t
	}
	t.epoch = s.epoch
	return p, t
}

// put makes what r names the entry of its key. It has everything but a version, an
// access word and its places in the indexes.
func (s *Store) put(r ref) *Entry {
	e := s.mem.at(r)
	key := e.Key()
	hash := xxhash.Sum64String(key)
	b := bucketOf(hash)
	p, t := s.own(b)
	pos, found := t.find(&s.mem.space, hashOf(hash), key)
	var old *Entry
	var oldRef ref
	if found {
		oldRef = t.slots[pos].ref
		old = s.mem.at(oldRef)
		e.slot = old.slot
		s.used, s.former = s.used-old.Size(), s.former-old.formerSize()
		s.sums.sub(old)
	} else {
		e.slot = keyslot.OfString(key)
	}
	s.undo.note(key, old)
	if e.version == 0 {
		s.revision++
		e.version = s.revision
	}
	s.index(old, r, e)
	if found {
		t.slots[pos].ref = r
	} else {
		t.insert(&s.mem.space, hashOf(hash), key, r)
		s.n++
		p.n++
		s.slots[e.slot]++
	}
	s.used, s.former = s.used+e.Size(), s.former+e.formerSize()
	s.sums.add(e)
	if found {
		s.mem.free(oldRef, old)
	}
	s.tidy(cellOf(e) + cellOf(old))
	return e
}

// index brings the expiry index, the SIEVE queue and the access word up to
// date for e, which r names and which takes the place of old (nil for a new key).
func (s *Store) index(old *Entry, r ref, e *Entry) {
	did, does := old != nil && old.flags&flagExpires != 0, e.flags&flagExpires != 0
	switch {
	case did && does:
		s.expiry.replace(old, r, e)
	case does:
		s.expiry.add(r, e)
	case did:
		s.expiry.remove(old)
	}
	if s.sieve != nil {
		s.sieve.put(old, r, e)
	}
	switch {
	case e.access.Load() != 0:
	case old != nil:
		e.access.Store(s.rewritten(old.access.Load()))
	default:
		e.access.Store(accessWord(s.clockMillis.Load(), lfuInitial, false))
	}
}

// Delete removes e if it is still the entry of its key.
func (s *Store) Delete(e *Entry) {
	key := e.Key()
	hash := xxhash.Sum64String(key)
	b := bucketOf(hash)
	t := s.dir.table(b)
	if t == nil {
		return
	}
	pos, found := t.find(&s.mem.space, hashOf(hash), key)
	if !found {
		return
	}
	r := t.slots[pos].ref
	if is := s.mem.at(r); is.version != e.version {
		return
	} else {
		e = is // it may have moved
	}
	s.undo.note(key, e)
	p, t := s.own(b)
	t.remove(pos)
	if t.n == 0 {
		p.tables[b&(pageLen-1)] = nil
	}
	p.n--
	s.revision++
	s.removals.note(e.slot, s.revision)
	s.n--
	s.slots[e.slot]--
	s.used, s.former = s.used-e.Size(), s.former-e.formerSize()
	s.sums.sub(e)
	if e.flags&flagExpires != 0 {
		s.expiry.remove(e)
	}
	if s.sieve != nil {
		s.sieve.remove(e)
	}
	s.mem.free(r, e)
	s.tidy(cellOf(e))
}

// Evict deletes key if its entry still has that version.
func (s *Store) Evict(key []byte, version uint64) bool {
	e := s.Get(key)
	if e == nil || e.version != version {
		return false
	}
	s.Delete(e)
	return true
}

// Clear removes everything. Snapshots keep what they hold.
func (s *Store) Clear() {
	if s.undo != nil {
		s.Each(func(e *Entry) bool {
			s.undo.note(e.Key(), e)
			return true
		})
	}
	s.revision++
	s.removals.noteAll(s.slots, s.revision)
	s.dir = directory{}
	s.slots = make([]uint32, SlotCount)
	s.sums = newSums()
	s.mem = newMemory(s, s.mem.tuning)
	s.expiry = expiryIndex{mem: &s.mem}
	s.n, s.used, s.former = 0, 0, 0
	s.resetSieve()
}
