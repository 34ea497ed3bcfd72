package fsm

import (
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

// assembly collects the fragments of one entry. A leader writes those of one
// large entry at a time, in order; smaller entries may stand between them. A
// fragment that does not continue the last one starts afresh or belongs to an
// entry whose leader gave up; such leftovers are dropped and their batches sent
// again by the nodes that own them.
type assembly struct {
	term, id uint64
	total    uint64
	data     []byte
}

// see is told of each entry that is not a fragment. Another term is another
// leader's: the rest of what was begun before will not come any more.
func (a *assembly) see(term uint64) {
	if a.term != term {
		*a = assembly{}
	}
}

// add takes a fragment of the given term. It returns the whole entry when the
// fragment was the last one.
func (a *assembly) add(term uint64, data []byte) (entry []byte, err error) {
	if err := checkHeader(data, kindFragment); err != nil {
		return nil, err
	}
	d := decoder{rest: data[2:]}
	id, offset, total, chunk := d.uvarint(), d.uvarint(), d.uvarint(), d.bytes()
	if err := d.finish(); err != nil {
		return nil, err
	}
	if total > maxAssembled || offset > total || uint64(len(chunk)) > total-offset {
		return nil, fmt.Errorf("%w: fragment of %d bytes at %d of %d", ErrMalformedEntry, len(chunk), offset, total)
	}
	if offset == 0 {
		*a = assembly{term: term, id: id, total: total}
	} else if a.term != term || a.id != id || a.total != total || uint64(len(a.data)) != offset {
		*a = assembly{}
		return nil, nil
	}
	bulk.Passed(len(data))
	a.reserve(uint64(len(a.data) + len(chunk)))
	a.data = bulk.Append(a.data, chunk)
	if uint64(len(a.data)) < a.total {
		return nil, nil
	}
	entry = a.data
	*a = assembly{}
	return entry, nil
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
