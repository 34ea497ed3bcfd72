package hash

import (
	"bytes"
	"fmt"
)

// verify checks what must hold within a hash.
func (h *Hash) verify() error {
	n, sum, size := 0, uint64(0), int64(0)
	h.Each(func(field, value []byte) bool {
		n++
		sum += elementSum(hashOf(field), value)
		size += fieldBytes(len(field), len(value))
		return true
	})
	if n != h.n || sum != h.sum {
		return fmt.Errorf("counts %d fields with sum %x, has %d with %x", h.n, h.sum, n, sum)
	}
	if h.tree == nil {
		if c := cap(h.buf); c > len(h.buf)*5/4+64 {
			return fmt.Errorf("a block of %d for %d bytes", c, len(h.buf))
		}
		return nil
	}
	if size != h.tree.bytes {
		return fmt.Errorf("counts %d bytes, has %d", h.tree.bytes, size)
	}
	return h.tree.root.verify(h.tree, 1, bound{}, bound{hash: 1<<64 - 1, end: true})
}

type bound struct {
	hash  uint64
	field string
	end   bool
}

func (b bound) below(hash uint64, field []byte) bool {
	return b.hash < hash || b.hash == hash && bytes.Compare([]byte(b.field), field) <= 0
}

func (in *inner) verify(t *tree, depth int, low, high bound) error {
	if len(in.kids) == 0 || len(in.kids) > fanout || in.gen > t.gen {
		return fmt.Errorf("node with %d kids, gen %d of %d", len(in.kids), in.gen, t.gen)
	}
	for i := range in.kids {
		k := &in.kids[i]
		from, to := low, high
		if i > 0 {
			from = bound{hash: k.hash, field: k.field}
		}
		if i+1 < len(in.kids) {
			to = bound{hash: in.kids[i+1].hash, field: in.kids[i+1].field}
		}
		if (k.leaf != nil) != (depth == t.height) || (k.inner != nil) == (k.leaf != nil) {
			return fmt.Errorf("a leaf at depth %d of %d", depth, t.height)
		}
		err, n := error(nil), 0
		if k.inner != nil {
			err, n = k.inner.verify(t, depth+1, from, to), total(k.inner.kids)
		} else {
			err, n = k.leaf.verify(t, from, to), k.leaf.n
		}
		if err != nil {
			return err
		}
		if n != k.n || n == 0 && (len(in.kids) > 1 || depth > 1) {
			return fmt.Errorf("kid %d of depth %d counts %d fields, has %d", i, depth, k.n, n)
		}
	}
	return nil
}

func (l *leaf) verify(t *tree, low, high bound) error {
	if l.gen > t.gen || l.weight() > leafMax && l.n > 1 || cap(l.buf) > 4096 {
		return fmt.Errorf("leaf of weight %d, capacity %d, gen %d of %d", l.weight(), cap(l.buf), l.gen, t.gen)
	}
	used := map[uint16]bool{}
	for i := range l.n {
		field, _ := l.at(i)
		hash := l.hash(i)
		if hash != hashOf(field) || !low.below(hash, field) || !high.end && high.below(hash, field) {
			return fmt.Errorf("record %d (%q) is out of place", i, field)
		}
		low = bound{hash: hash, field: string(field) + "\x00"}
		r := l.record(i)
		at := 2
		for which := range 2 {
			if r[which] != elsewhere {
				at += int(r[which])
				continue
			}
			used[uint16(r[at])|uint16(r[at+1])<<8] = true
			at += 2
		}
		if at != len(r) {
			return fmt.Errorf("record %d has %d bytes for %d", i, len(r), at)
		}
	}
	kept := 0
	for i, p := range l.long {
		if p != nil {
			kept++
			if !used[uint16(i)] {
				return fmt.Errorf("%d bytes are kept for nobody", len(p))
			}
		}
	}
	if kept != len(used) {
		return fmt.Errorf("%d long parts, %d kept", len(used), kept)
	}
	return nil
}
