package list

import "fmt"

// verify checks what must hold within a list.
func (l *List) verify() error {
	all := nothing
	l.Forward(0, func(e []byte) bool {
		all = all.then(only(e))
		return true
	})
	if all.n != l.Len() || all.sum != l.Sum() {
		return fmt.Errorf("counts %d elements with sum %x, has %d with %x", l.Len(), l.Sum(), all.n, all.sum)
	}
	if l.tree == nil {
		if c := cap(l.buf); c > 2*len(l.buf)+shrinkSlack+16 || all.lp != int64(l.lp) {
			return fmt.Errorf("a block of %d for %d bytes, %d in a listpack, of %d", c, len(l.buf), l.lp, all.lp)
		}
		return nil
	}
	if all != l.tree.all {
		return fmt.Errorf("counts %+v, has %+v", l.tree.all, all)
	}
	return l.tree.root.verify(l.tree, 1)
}

func (in *inner) verify(t *tree, depth int) error {
	if len(in.kids) == 0 || len(in.kids) > fanout || in.gen > t.gen {
		return fmt.Errorf("node with %d kids, gen %d of %d", len(in.kids), in.gen, t.gen)
	}
	for i := range in.kids {
		k := &in.kids[i]
		if (k.leaf != nil) != (depth == t.height) || (k.inner != nil) == (k.leaf != nil) {
			return fmt.Errorf("a leaf at depth %d of %d", depth, t.height)
		}
		var err error
		var has run
		if k.inner != nil {
			err, has = k.inner.verify(t, depth+1), fold(k.inner.kids)
		} else {
			err, has = k.leaf.verify(t), k.leaf.run(0, k.leaf.n, 0)
		}
		if err != nil {
			return err
		}
		if has != k.run || k.n == 0 && t.all.n > 0 {
			return fmt.Errorf("kid %d of depth %d counts %+v, has %+v", i, depth, k.run, has)
		}
	}
	return nil
}

func (l *leaf) verify(t *tree) error {
	if l.gen > t.gen || l.weight() > leafMax && l.n > 1 || cap(l.buf) > 4096 {
		return fmt.Errorf("leaf of weight %d, capacity %d, gen %d of %d", l.weight(), cap(l.buf), l.gen, t.gen)
	}
	if c := cap(l.buf); l.n > 0 && c > leafMax && c > len(l.buf)+len(l.buf)/2 {
		return fmt.Errorf("a block of %d for %d bytes", c, len(l.buf))
	}
	used := map[int]bool{}
	n := 0
	for at := 0; at < len(l.buf); n++ {
		after := l.after(at)
		if l.before(after) != at || after > len(l.buf) {
			return fmt.Errorf("record %d is not the same from its end", n)
		}
		if l.buf[at] == elsewhere {
			used[l.index(at)] = true
		}
		at = after
	}
	kept := 0
	for i, p := range l.long {
		if p != nil {
			kept++
			if !used[i] {
				return fmt.Errorf("%d bytes are kept for nobody", len(p))
			}
		}
	}
	if kept != len(used) || n != l.n {
		return fmt.Errorf("%d long elements, %d kept; %d of %d records", len(used), kept, n, l.n)
	}
	return nil
}
