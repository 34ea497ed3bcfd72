package btree

import (
	"bytes"
	"fmt"
)

// Verify checks what must hold within a tree whose records have the keys that keyOf gives
// (nil: any). It reads everything, and is for tests.
func (t *Tree) Verify(keyOf func(name, value []byte) uint64) error {
	return t.root.verify(t, keyOf, 1, bound{}, bound{key: 1<<64 - 1, end: true})
}

// Nodes returns all nodes. It is for tests.
func (t *Tree) Nodes() map[any]bool {
	all := map[any]bool{}
	t.root.nodes(all)
	return all
}

func (in *inner) nodes(all map[any]bool) {
	all[in] = true
	for _, k := range in.kids {
		if k.leaf != nil {
			all[k.leaf] = true
		} else {
			k.inner.nodes(all)
		}
	}
}

// Height is how many inner nodes are on the way to a leaf.
func (t *Tree) Height() int { return t.height }

// Full is which part of the bytes of its leaves a tree uses.
func (t *Tree) Full() float64 {
	leaves, weight := t.root.leaves()
	return float64(weight) / float64(leaves*leafMax)
}

func (in *inner) leaves() (n, weight int) {
	for _, k := range in.kids {
		if k.leaf != nil {
			n, weight = n+1, weight+k.leaf.weight()
			continue
		}
		a, b := k.inner.leaves()
		n, weight = n+a, weight+b
	}
	return n, weight
}

type bound struct {
	key  uint64
	name string
	end  bool
}

func (b bound) below(key uint64, name []byte) bool {
	return b.key < key || b.key == key && bytes.Compare([]byte(b.name), name) <= 0
}

func (in *inner) verify(t *Tree, keyOf func(name, value []byte) uint64, depth int, low, high bound) error {
	if len(in.kids) == 0 || len(in.kids) > fanout || in.gen > t.gen {
		return fmt.Errorf("node with %d kids, gen %d of %d", len(in.kids), in.gen, t.gen)
	}
	for i := range in.kids {
		k := &in.kids[i]
		from, to := low, high
		if i > 0 {
			from = bound{key: k.key, name: k.name}
		}
		if i+1 < len(in.kids) {
			to = bound{key: in.kids[i+1].key, name: in.kids[i+1].name}
		}
		if (k.leaf != nil) != (depth == t.height) || (k.inner != nil) == (k.leaf != nil) {
			return fmt.Errorf("a leaf at depth %d of %d", depth, t.height)
		}
		err, n := error(nil), 0
		if k.inner != nil {
			err, n = k.inner.verify(t, keyOf, depth+1, from, to), total(k.inner.kids)
		} else {
			err, n = k.leaf.verify(t, keyOf, from, to), k.leaf.n
		}
		if err != nil {
			return err
		}
		if n != k.n || n == 0 && (len(in.kids) > 1 || depth > 1) {
			return fmt.Errorf("kid %d of depth %d counts %d records, has %d", i, depth, k.n, n)
		}
	}
	return nil
}

func (l *leaf) verify(t *Tree, keyOf func(name, value []byte) uint64, low, high bound) error {
	if l.gen > t.gen || l.weight() > leafMax && l.n > 1 || cap(l.buf) > 4096 {
		return fmt.Errorf("leaf of weight %d, capacity %d, gen %d of %d", l.weight(), cap(l.buf), l.gen, t.gen)
	}
	used := map[uint16]bool{}
	for i := range l.n {
		name, value := l.at(i)
		key := l.key(i)
		if keyOf != nil && key != keyOf(name, value) || !low.below(key, name) || !high.end && high.below(key, name) {
			return fmt.Errorf("record %d (%q) is out of place", i, name)
		}
		low = bound{key: key, name: string(name) + "\x00"}
		if err := l.verifyRecord(i, used); err != nil {
			return err
		}
	}
	kept := 0
	for i, p := range l.long {
		if p == nil {
			continue
		}
		kept++
		if !used[uint16(i)] || len(p) <= t.inline {
			return fmt.Errorf("%d bytes are kept for nobody", len(p))
		}
	}
	if kept != len(used) {
		return fmt.Errorf("%d long parts, %d kept", len(used), kept)
	}
	return nil
}

func (l *leaf) verifyRecord(i int, used map[uint16]bool) error {
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
	return nil
}
