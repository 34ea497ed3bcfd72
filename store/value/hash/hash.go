package hash

import (
	"encoding/binary"
	"sync/atomic"

	"github.com/cespare/xxhash/v2"
)

// Limits say how far a hash is packed. They come from the caller with each
// change, since all replicas must have the same.
type Limits struct {
	Fields int // a packed hash has no more fields
	Bytes  int // no name and no value in it is longer
}

// Whatever Limits say, a packed hash stays below these, so that a copy of its block
// and a search in it have a bound.
const (
	maxPackedFields = 2048
	maxPackedBlock  = 80 << 10 // more than Redis's limits allow
)

// MaxLimits are the most that has an effect.
func MaxLimits() Limits { return Limits{Fields: maxPackedFields, Bytes: maxPackedBlock} }

// DefaultLimits are those of Redis.
func DefaultLimits() Limits { return Limits{Fields: 512, Bytes: 64} }

// Hash is a hash in the hands of its writer. The zero value is empty and packed.
// It must not be copied.
type Hash struct {
	contents
	epoch uint64 // of the owner; see Own
	views atomic.Int32
	flags atomic.Uint32
}

// The flags of a Hash.
const (
	// seen: a view or an older Hash may hold what is here. The next change copies
	// what it touches of that while somebody looks, and clears the flag.
	seen = 1 << iota
	// lent: the packed block is another Hash's too, for good.
	lent
	// watched: the owner has views of his own; see Own.
	watched
)

// contents is what Hash and View have in common. They can be read.
type contents struct {
	n    int
	sum  uint64
	buf  []byte // packed form, see packed.go
	tree *tree  // large form, nil in the packed one
}

// New returns an empty packed hash.
func New() *Hash { return new(Hash) }

// NewLarge returns an empty hash in the large form, which it keeps.
func NewLarge() *Hash {
	h := new(Hash)
	h.tree = newTree()
	return h
}

// Len returns the number of fields.
func (c *contents) Len() int { return c.n }

// Packed reports whether the hash has its packed form.
func (c *contents) Packed() bool { return c.tree == nil }

// Encoding is Redis's word for the form.
func (c *contents) Encoding() string {
	if c.Packed() {
		return "listpack"
	}
	return "hashtable"
}

// Sum returns a hash of the fields and their values that does not depend on
// their order or on the form.
func (c *contents) Sum() uint64 { return c.sum }

// Resum counts Sum anew, from the fields as they are in memory.
func (c *contents) Resum() (sum uint64) {
	c.Each(func(field, value []byte) bool {
		sum += elementSum(hashOf(field), value)
		return true
	})
	return sum
}

// Get returns the value of field. It is valid until the hash changes, and must
// not be modified.
func (c *contents) Get(field []byte) (value []byte, ok bool) {
	if c.tree != nil {
		return c.tree.get(xxhash.Sum64(field), field)
	}
	r, ok := find(c.buf, field)
	if !ok {
		return nil, false
	}
	return c.buf[r.value:r.end:r.end], true
}

// Lasting reports whether p, a name or value that the hash has handed out, stays as it is
// when the hash changes: long ones of a large hash have memory of their own.
func (c *contents) Lasting(p []byte) bool { return c.tree != nil && len(p) > inlineMax }

// Set gives field a copy of value, and reports whether the field is new and by
// how much Size has grown.
func (h *Hash) Set(field, value []byte, lim Limits) (added bool, grown int64) {
	before := h.Size()
	if h.tree == nil && !h.fits(lim, field, value) {
		h.Grow()
	}
	var was uint64
	hash := xxhash.Sum64(field)
	copyBlock := h.open()
	if h.tree != nil {
		was, added = h.tree.set(hash, field, value)
	} else {
		was, added = h.setPacked(field, value, copyBlock)
	}
	h.sum += elementSum(hash, value) - was
	if added {
		h.n++
	}
	if h.tree == nil && h.n > min(lim.Fields, maxPackedFields) {
		h.Grow()
	}
	return added, h.Size() - before
}

// Delete removes field, and reports whether it was there and by how much Size has
// grown (it has not).
func (h *Hash) Delete(field []byte) (deleted bool, grown int64) {
	value, ok := h.Get(field)
	if !ok {
		return false, 0
	}
	before := h.Size()
	hash := xxhash.Sum64(field)
	h.sum -= elementSum(hash, value)
	copyBlock := h.open()
	if h.tree != nil {
		h.tree.remove(hash, field)
	} else {
		h.deletePacked(field, copyBlock)
	}
	h.n--
	return true, h.Size() - before
}

// Grow gives the hash its large form. There is no way back.
func (h *Hash) Grow() {
	if h.tree != nil {
		return
	}
	t := newTree()
	eachPacked(h.buf, func(field, value []byte) bool {
		t.set(xxhash.Sum64(field), field, value)
		return true
	})
	h.tree, h.buf = t, nil
	h.clearFlags(seen | lent)
}

// fits reports whether a packed hash may stay so with another field or value.
func (h *Hash) fits(lim Limits, field, value []byte) bool {
	return h.n <= lim.Fields && len(field) <= lim.Bytes && len(value) <= lim.Bytes &&
		len(h.buf)+packedBytes(len(field))+packedBytes(len(value)) <= maxPackedBlock
}

// elementSum is what a field with its value adds to Sum.
func elementSum(hash uint64, value []byte) uint64 {
	var b [16]byte
	binary.LittleEndian.PutUint64(b[:], hash)
	binary.LittleEndian.PutUint64(b[8:], xxhash.Sum64(value))
	return xxhash.Sum64(b[:])
}

// Digest writes everything to d: form, number, and names and values in order.
func (c *contents) Digest(d *xxhash.Digest) {
	var head [binary.MaxVarintLen64 + 1]byte
	if c.Packed() {
		head[0] = 1
	}
	_, _ = d.Write(binary.AppendUvarint(head[:1], uint64(c.n)))
	c.Each(func(field, value []byte) bool {
		for _, p := range [2][]byte{field, value} {
			_, _ = d.Write(binary.AppendUvarint(head[:0], uint64(len(p))))
			_, _ = d.Write(p)
		}
		return true
	})
}
