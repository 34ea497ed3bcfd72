package list

// remove takes out the elements from the i-th to the one before the j-th.
func (t *tree) remove(i, j int) {
	switch {
	case j-i == t.all.n:
		t.empty()
	case j-i == 1 && (i == 0 || j == t.all.n):
		t.removeAtEnd(i)
	default:
		t.root = t.ownInner(t.root)
		t.cut(t.root, i, j)
		t.all = fold(t.root.kids)
		t.lower()
	}
}

// removeAtEnd takes out the first or the last element.
func (t *tree) removeAtEnd(i int) {
	var p path
	l, j := t.descend(&p, i, false)
	at := l.seek(j)
	e, after := l.next(at)
	gone := run{n: 1, bytes: elementBytes(len(e)), lp: ListpackBytes(e), sum: hashOf(e)}
	t.all = t.all.without(gone, i > 0)
	for d := range t.height {
		k := p[d].kid()
		k.run = k.run.without(gone, i > 0)
	}
	l.cut(at, after, 1)
	l.trim()
	if l.weight() < leafMin {
		t.settle(&p)
	}
}

// without is r without the run of its first or last element.
func (r run) without(e run, last bool) run {
	r.n, r.bytes, r.lp, r.pow = r.n-1, r.bytes-e.bytes, r.lp-e.lp, mul(r.pow, inverse)
	if last {
		r.sum = sub(r.sum, mul(r.pow, e.sum))
	} else {
		r.sum = mul(sub(r.sum, e.sum), inverse)
	}
	return r
}

// settle joins the leaf at the end of p, and what is above it, with others as far as
// they have become small. An empty one goes, with nodes that hold nothing else.
func (t *tree) settle(p *path) {
	for d := t.height - 1; d >= 0; d-- {
		if !t.tidy(p[d].inner, p[d].i) {
			break
		}
	}
	t.lower()
}

// lower takes away inner nodes at the top that have one kid.
func (t *tree) lower() {
	if t.all.n == 0 {
		t.empty()
		return
	}
	for t.height > 1 && len(t.root.kids) == 1 {
		t.root = t.root.kids[0].inner // descend makes it the tree's own
		t.height--
	}
}

// tidy drops kid i of a node if it is empty, otherwise joins it with one beside it
// if the two are small enough, and reports whether it did any of that.
func (t *tree) tidy(in *inner, i int) bool {
	if in.kids[i].n == 0 {
		in.drop(i, i+1)
		return true
	}
	return t.join(in, i-1) || t.join(in, i)
}

// join makes one of kids i and i+1 of a node that is the tree's own, if one of them is
// small and the two are small enough.
func (t *tree) join(in *inner, i int) bool {
	if i < 0 || i+1 >= len(in.kids) {
		return false
	}
	a, b := &in.kids[i], &in.kids[i+1]
	if a.leaf != nil {
		x, y := a.leaf.weight(), b.leaf.weight()
		if min(x, y) >= leafMin || x+y > joinMax {
			return false
		}
		a.leaf = join(t.gen, a.leaf.whole(), b.leaf.whole())
	} else {
		x, y := len(a.inner.kids), len(b.inner.kids)
		if min(x, y) >= fanoutMin || x+y > fanoutJoin {
			return false
		}
		a.inner = t.ownInner(a.inner)
		a.inner.kids = append(a.inner.kids, b.inner.kids...)
		t.join(a.inner, x-1) // they had no neighbours before
	}
	a.run = a.run.then(b.run)
	in.drop(i+1, i+2)
	return true
}

// cut takes out a part of the elements below a node that is the tree's own. What lies
// wholly within is not looked at.
func (t *tree) cut(in *inner, from, to int) {
	first, last := -1, 0 // of the kids that are touched
	gone := 0            // kids from first+1 on
	start := 0
	for i := range in.kids {
		k := &in.kids[i]
		low, high := max(from-start, 0), min(to-start, k.n)
		start += k.n
		if low >= high {
			continue
		}
		if first < 0 {
			first = i
		}
		last = i
		t.cutKid(k, low, high)
	}
	for i := first; i <= last; i++ {
		if in.kids[i].n == 0 {
			gone++
		}
	}
	// At most the first and the last of those touched have anything left.
	if gone > 0 {
		at := first
		if in.kids[first].n > 0 {
			at++
		}
		in.drop(at, at+gone)
	}
	for i := min(first+1, len(in.kids)-1); i >= max(first-1, 0); i-- {
		t.join(in, i)
	}
}

// cutKid takes elements low to high out of what is below k; when that is all, it only
// says so.
func (t *tree) cutKid(k *kid, low, high int) {
	switch {
	case low == 0 && high == k.n:
		k.run = nothing
	case k.leaf != nil:
		l := t.ownLeaf(k)
		l.cut(l.seek(low), l.seek(high), high-low)
		l.trim()
		k.run = l.run(0, l.n, 0)
	default:
		k.inner = t.ownInner(k.inner)
		t.cut(k.inner, low, high)
		k.run = fold(k.inner.kids)
	}
}

// purge takes out elements equal to value; see List.RemoveEqual.
func (t *tree) purge(value []byte, most int, fromBack bool) (removed int) {
	p := purge{tree: t, value: value, left: most, fromBack: fromBack}
	t.root = p.inner(t.root)
	t.all = fold(t.root.kids)
	t.lower()
	return most - p.left
}

type purge struct {
	*tree
	value    []byte
	left     int
	fromBack bool
}

// inner goes through what is below a node, and returns the node or, if something had to
// change below one that is another's too, a copy.
func (p *purge) inner(in *inner) *inner {
	changed := false
	for step := range in.kids {
		if p.left == 0 {
			break
		}
		i := step
		if p.fromBack {
			i = len(in.kids) - 1 - step
		}
		next := in.kids[i]
		if !p.kid(&next) {
			continue
		}
		if !changed {
			in = p.ownInner(in)
			changed = true
		}
		in.kids[i] = next
	}
	if !changed {
		return in
	}
	for i := len(in.kids) - 1; i >= 0; i-- {
		if in.kids[i].n == 0 {
			in.drop(i, i+1)
		}
		p.join(in, i)
	}
	return in
}

// kid goes through what is below k, and reports whether that changed.
func (p *purge) kid(k *kid) bool {
	if k.inner != nil {
		before := p.left
		k.inner = p.inner(k.inner)
		if before == p.left {
			return false
		}
		k.run = fold(k.inner.kids)
		return true
	}
	found := k.leaf.count(p.value)
	if found == 0 {
		return false
	}
	goes := min(found, p.left)
	p.left -= goes
	l := p.ownLeaf(k)
	l.purge(p.value, skipped(found, goes, p.fromBack), goes)
	l.trim()
	k.run = l.run(0, l.n, 0)
	return true
}
