package fsm

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/lockstepkv/lockstep/internal/bulk"
)

// Cutter encodes an entry as one log entry, or as fragments when it is large.
// Fragments are made one at a time, so that a large entry does not exist twice.
type Cutter struct {
	id, total uint64
	offset    uint64
	rest      [][]byte // the encoded entry from offset on
}

// Cut returns a Cutter of e, which must not change meanwhile. id must differ
// between the entries of one term.
func Cut(e *Entry, id uint64) *Cutter {
	c := &Cutter{id: id}
	head := e.appendHead(nil)
	for i := range e.Batches {
		c.rest = append(c.rest, e.Batches[i].Encoded(head)...)
		head = nil
	}
	c.rest = append(c.rest, head)
	for _, s := range c.rest {
		c.total += uint64(len(s))
	}
	return c
}

// Large reports whether the entry goes in fragments.
func (c *Cutter) Large() bool { return c.total > wholeBytes }

// Bytes is the length of the encoded entry.
func (c *Cutter) Bytes() int64 { return int64(c.total) }

// Done reports whether all was returned.
func (c *Cutter) Done() bool { return c.offset == c.total }

// Next returns the next log entry.
func (c *Cutter) Next() []byte {
	if !c.Large() {
		return c.take(make([]byte, 0, c.total), c.total)
	}
	n := min(FragmentBytes, c.total-c.offset)
	part := make([]byte, 0, n+2+4*binary.MaxVarintLen64)
	part = append(part, FormatVersion, kindFragment)
	part = binary.AppendUvarint(part, c.id)
	part = binary.AppendUvarint(part, c.offset)
	part = binary.AppendUvarint(part, c.total)
	return c.take(binary.AppendUvarint(part, n), n)
}

// take appends the next n bytes of the encoded entry.
func (c *Cutter) take(dst []byte, n uint64) []byte {
	c.offset += n
	for n > 0 {
		chunk := c.rest[0][:min(n, uint64(len(c.rest[0])))]
		dst = bulk.Append(dst, chunk)
		n -= uint64(len(chunk))
		if c.rest[0] = c.rest[0][len(chunk):]; len(c.rest[0]) == 0 {
			c.rest = c.rest[1:]
		}
	}
	return dst
}

// maxAssembled bounds what the first fragment of an entry can announce.
const maxAssembled = 1 << 32

// Lender tells where this node has the units of a large batch in memory already: as the node of
// the client that sent them, or as the leader that got them from there. The parts are never
// changed, each fills the memory that it lies in, and nil means that it has them not.
type Lender func(node string, boot, seq uint64) (units [][]byte)

// assembly collects the fragments of one entry. A leader writes those of one
// large entry at a time, in order; smaller entries may stand between them. A
// fragment that does not continue the last one starts afresh or belongs to an
// entry whose leader gave up; such leftovers are dropped and their batches sent
// again by the nodes that own them.
//
// Where the units of the entry are in memory already, fragments are compared with them and
// not kept. What comes out is the same: bytes that differ end the loan.
type assembly struct {
	term, id uint64
	total    uint64
	data     []byte // what has come, of a lent entry its beginning

	lent [][]byte // the rest of the entry, or nil
	same int      // how many bytes of lent have come
}

// see is told of each entry that is not a fragment. Another term is another
// leader's: the rest of what was begun before will not come any more.
func (a *assembly) see(term uint64) {
	if a.term != term {
		*a = assembly{}
	}
}

// come is how much of the entry has come.
func (a *assembly) come() uint64 { return uint64(len(a.data) + a.same) }

// add takes a fragment of the given term. It reports whether it was the last one. Then data
// and lent are the entry; see decodeEntry.
func (a *assembly) add(term uint64, fragment []byte, lend Lender) (data []byte, lent [][]byte, whole bool, err error) {
	if err := checkHeader(fragment, kindFragment); err != nil {
		return nil, nil, false, err
	}
	d := decoder{rest: fragment[2:]}
	id, offset, total, chunk := d.uvarint(), d.uvarint(), d.uvarint(), d.bytes()
	if err := d.finish(); err != nil {
		return nil, nil, false, err
	}
	if total > maxAssembled || offset > total || uint64(len(chunk)) > total-offset {
		return nil, nil, false, fmt.Errorf("%w: fragment of %d bytes at %d of %d", ErrMalformedEntry, len(chunk), offset, total)
	}
	if offset == 0 {
		*a = assembly{term: term, id: id, total: total}
		chunk = a.borrow(chunk, lend)
	} else if a.term != term || a.id != id || a.total != total || a.come() != offset {
		*a = assembly{}
		return nil, nil, false, nil
	}
	bulk.Passed(len(fragment))
	a.take(chunk)
	if a.come() < a.total {
		return nil, nil, false, nil
	}
	data, lent = a.data, a.lent
	*a = assembly{}
	return data, lent, true, nil
}

// borrow looks whether the entry that begins with chunk is lent, and returns what is to be taken
// of chunk.
func (a *assembly) borrow(chunk []byte, lend Lender) []byte {
	if lend == nil || checkHeader(chunk, kindBatches) != nil {
		return chunk
	}
	d := decoder{rest: chunk[2:]}
	if d.beforeBatches(new(Entry)) != 1 {
		return chunk
	}
	b, size := d.batchHead(), d.uvarint()
	if head := len(chunk) - len(d.rest); d.failed || size == 0 || size != a.total-uint64(head) {
		return chunk
	}
	if units := lend(b.Node, b.Boot, b.Seq); units != nil && uint64(sizeOf(units)) == size {
		head := len(chunk) - len(d.rest)
		a.data, a.lent = bulk.Append(nil, chunk[:head]), units
		return d.rest
	}
	return chunk
}

// take adds the next bytes of the entry.
func (a *assembly) take(chunk []byte) {
	if a.lent != nil && a.matches(chunk) {
		a.same += len(chunk)
		return
	}
	if a.lent != nil {
		a.settle()
	}
	a.reserve(uint64(len(a.data) + len(chunk)))
	a.data = bulk.Append(a.data, chunk)
}

// matches reports whether chunk comes next in what is lent.
func (a *assembly) matches(chunk []byte) bool {
	for _, p := range tail(a.lent, a.same) {
		n := min(len(p), len(chunk))
		if !bytes.Equal(p[:n], chunk[:n]) {
			return false
		}
		chunk = chunk[n:]
	}
	return len(chunk) == 0
}

// settle copies what has come, and goes on without the loan.
func (a *assembly) settle() {
	parts := head(a.lent, a.same)
	a.lent, a.same = nil, 0
	for _, p := range parts {
		a.reserve(uint64(len(a.data) + len(p)))
		a.data = bulk.Append(a.data, p)
	}
}

// parts are the bytes that have come.
func (a *assembly) parts() [][]byte { return append([][]byte{a.data}, head(a.lent, a.same)...) }

// head are the first n bytes of parts.
func head(parts [][]byte, n int) (out [][]byte) {
	for _, p := range parts {
		if n == 0 {
			break
		}
		out = append(out, p[:min(n, len(p))])
		n -= min(n, len(p))
	}
	return out
}

// tail is what comes after the first n bytes of parts.
func tail(parts [][]byte, n int) [][]byte {
	for len(parts) > 0 && n >= len(parts[0]) {
		n -= len(parts[0])
		parts = parts[1:]
	}
	if n == 0 {
		return parts
	}
	return append([][]byte{parts[0][n:]}, parts[1:]...)
}

// reserve makes room for n bytes of the entry.
func (a *assembly) reserve(n uint64) {
	if uint64(cap(a.data)) >= n {
		return
	}
	grown := make([]byte, len(a.data), bulk.NextSize(int(a.total), int(n)))
	bulk.Copy(grown, a.data)
	a.data = grown
}
