package btree

// Each calls fn for every record in order until it returns false. The tree must not
// change meanwhile, nor may fn modify what it is given or keep it.
func (t *Tree) Each(fn func(key uint64, name, value []byte) bool) { t.From(0, fn) }

// From is Each for the records whose key is not below that.
func (t *Tree) From(key uint64, fn func(key uint64, name, value []byte) bool) { t.root.from(key, fn) }

func (in *inner) from(key uint64, fn func(key uint64, name, value []byte) bool) bool {
	first := 0
	if key > 0 {
		first = in.find(key, nil)
	}
	for at := first; at < len(in.kids); at++ {
		k := &in.kids[at]
		if k.inner != nil {
			if !k.inner.from(key, fn) {
				return false
			}
			key = 0 // everything behind is above
			continue
		}
		i := 0
		if key > 0 {
			i, _ = k.leaf.search(key, nil)
		}
		for ; i < k.leaf.n; i++ {
			name, value := k.leaf.at(i)
			if !fn(k.leaf.key(i), name, value) {
				return false
			}
		}
		key = 0
	}
	return true
}

// At returns the k-th record in order, counted from 0, which must be there. It is valid
// until the tree changes, and must not be modified.
func (t *Tree) At(k int) (key uint64, name, value []byte) {
	in := t.root
	for {
		i := 0
		for ; k >= in.kids[i].n; i++ {
			k -= in.kids[i].n
		}
		if l := in.kids[i].leaf; l != nil {
			name, value = l.at(k)
			return l.key(k), name, value
		}
		in = in.kids[i].inner
	}
}

// Rank returns how many records are before (key, name), and whether that is there.
func (t *Tree) Rank(key uint64, name []byte) (rank int, found bool) {
	in := t.root
	for {
		i := in.find(key, name)
		for j := range i {
			rank += in.kids[j].n
		}
		if l := in.kids[i].leaf; l != nil {
			n, found := l.search(key, name)
			return rank + n, found
		}
		in = in.kids[i].inner
	}
}

// Ascend is Each from the k-th record on.
func (t *Tree) Ascend(k int, fn func(key uint64, name, value []byte) bool) { t.root.ascend(k, fn) }

func (in *inner) ascend(k int, fn func(key uint64, name, value []byte) bool) bool {
	for at := range in.kids {
		kid := &in.kids[at]
		if k >= kid.n {
			k -= kid.n
			continue
		}
		if kid.inner != nil {
			if !kid.inner.ascend(k, fn) {
				return false
			}
		} else {
			for i := k; i < kid.leaf.n; i++ {
				name, value := kid.leaf.at(i)
				if !fn(kid.leaf.key(i), name, value) {
					return false
				}
			}
		}
		k = 0
	}
	return true
}

// Descend is Ascend in the other direction, from the k-th record on down.
func (t *Tree) Descend(k int, fn func(key uint64, name, value []byte) bool) {
	t.root.descend(k, fn)
}

func (in *inner) descend(k int, fn func(key uint64, name, value []byte) bool) bool {
	at := 0
	for at < len(in.kids)-1 && k >= in.kids[at].n {
		k -= in.kids[at].n
		at++
	}
	for ; at >= 0; at-- {
		kid := &in.kids[at]
		k = min(k, kid.n-1)
		if kid.inner != nil {
			if !kid.inner.descend(k, fn) {
				return false
			}
		} else {
			for i := k; i >= 0; i-- {
				name, value := kid.leaf.at(i)
				if !fn(kid.leaf.key(i), name, value) {
					return false
				}
			}
		}
		if at > 0 {
			k = in.kids[at-1].n - 1
		}
	}
	return true
}
