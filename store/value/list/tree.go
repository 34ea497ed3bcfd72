package list

const (
	// fanout is the most kids that an inner node has, fanoutMin the number below
	// which it looks for another to join, fanoutJoin the most that the two may have.
	fanout     = 64
	fanoutMin  = fanout / 4
	fanoutJoin = fanout * 3 / 4
	// maxHeight is the number of inner nodes from the root to a leaf for more
	// elements than memory has room for.
	maxHeight = 12
)

// tree is a counted B+-tree. All leaves are at the same depth below the root.
type tree struct {
	root   *inner
	height int // inner nodes on the way to a leaf
	all    run

	// gen is raised by the first change after a view was taken. A node with a
	// smaller one may be part of the view, and is copied before it changes while
	// guarded. One below floor is another tree's too, and is always copied.
	gen, floor uint64
	guarded    bool
}

// inner is a node above leaves or above other inner nodes.
type inner struct {
	gen  uint64
	kids []kid
}

// kid is a child of an inner node, with what is below it.
type kid struct {
	run
	leaf  *leaf  // this
	inner *inner // or this
}

func newTree() *tree {
	t := &tree{all: nothing}
	t.empty()
	return t
}

// empty makes the tree one without elements.
func (t *tree) empty() {
	t.root, t.height, t.all = &inner{gen: t.gen, kids: []kid{{run: nothing, leaf: &leaf{gen: t.gen}}}}, 1, nothing
}

// find returns the kid that has the i-th of n elements, and the number of that there.
// With between, it is the kid that an element can be put into before the i-th.
func (in *inner) find(i, n int, between bool) (kid, at int) {
	if 2*i > n { // from the nearer end
		rest := n - i
		k := len(in.kids) - 1
		for ; k > 0 && rest > in.kids[k].n; k-- {
			rest -= in.kids[k].n
		}
		return k, in.kids[k].n - rest
	}
	k := 0
	for ; k < len(in.kids)-1 && (i > in.kids[k].n || i == in.kids[k].n && !between); k++ {
		i -= in.kids[k].n
	}
	return k, i
}

// path leads from the root to a leaf.
type path [maxHeight]step

type step struct {
	*inner
	i int
}

func (s step) kid() *kid { return &s.kids[s.i] }

// descend finds the leaf of the i-th element, and its number there, and makes the
// leaf and what is above it ready to be changed.
func (t *tree) descend(p *path, i int, between bool) (l *leaf, at int) {
	t.root = t.ownInner(t.root)
	in, n := t.root, t.all.n
	for d := range t.height - 1 {
		p[d].inner = in
		p[d].i, i = in.find(i, n, between)
		k := p[d].kid()
		k.inner = t.ownInner(k.inner)
		in, n = k.inner, k.n
	}
	last := &p[t.height-1]
	last.inner = in
	last.i, i = in.find(i, n, between)
	return t.ownLeaf(last.kid()), i
}

// mustCopy reports whether a node of this gen may be somebody else's too.
func (t *tree) mustCopy(gen uint64) bool {
	return gen < t.floor || t.guarded && gen < t.gen
}

func (t *tree) ownInner(in *inner) *inner {
	if t.mustCopy(in.gen) {
		in = &inner{kids: append(make([]kid, 0, len(in.kids)+len(in.kids)/8+1), in.kids...)}
	}
	in.gen = t.gen
	return in
}

func (t *tree) ownLeaf(k *kid) *leaf {
	if t.mustCopy(k.leaf.gen) {
		k.leaf = k.leaf.clone(t.gen)
	}
	k.leaf.gen = t.gen
	return k.leaf
}

// The ends of a list, as insertKid knows them.
const (
	atFront = -1
	within  = 0
	atBack  = 1
)

// insert puts a copy of value before the i-th element.
func (t *tree) insert(i int, value []byte) {
	edge := within
	switch i {
	case t.all.n:
		edge = atBack
	case 0:
		edge = atFront
	}
	for {
		var p path
		l, at := t.descend(&p, i, true)
		switch {
		case l.n == 0 || l.weight()+added(len(value)) <= leafMax:
			t.insertInto(l, &p, at, value, edge)
		case edge == within:
			t.split(&p)
			continue
		default: // in a list that grows at its ends, leaves stay full
			fresh := &leaf{gen: t.gen}
			fresh.insert(0, value, inlineMax, roomAtEnd(added(len(value))))
			t.insertKid(&p, p[t.height-1].i+(edge+1)/2, kid{run: only(value), leaf: fresh}, edge)
		}
		return
	}
}

// insertInto puts value into the leaf at the end of p, which has room for it.
func (t *tree) insertInto(l *leaf, p *path, at int, value []byte, edge int) {
	e := only(value)
	more := room
	if edge != within && t.height > 0 {
		more = roomAtEnd
	}
	if edge == within {
		k := p[t.height-1].kid()
		k.run = k.run.inserted(l.run(0, at, sumsOnly), e)
		t.refold(p, t.height-1)
	} else {
		t.all = beside(t.all, e, edge)
		for d := range t.height {
			k := p[d].kid()
			k.run = beside(k.run, e, edge)
		}
	}
	l.insert(l.seek(at), value, inlineMax, more(len(l.buf)+recordBytes(len(value), inlineMax)))
}

// beside is r with another run at one of its ends.
func beside(r, e run, edge int) run {
	if edge == atFront {
		return e.then(r)
	}
	return r.then(e)
}

func fold(kids []kid) run {
	r := nothing
	for i := range kids {
		r = r.then(kids[i].run)
	}
	return r
}

// refold sums up anew what is above the kids of step d.
func (t *tree) refold(p *path, d int) {
	for ; d > 0; d-- {
		p[d-1].kid().run = fold(p[d].kids)
	}
	t.all = fold(t.root.kids)
}

// split makes two of the leaf at the end of p.
func (t *tree) split(p *path) {
	k := p[t.height-1].kid()
	l := k.leaf
	i, at := l.middle()
	right := kid{leaf: join(t.gen, span{l, at, len(l.buf), l.n - i})}
	right.run = right.leaf.run(0, right.leaf.n, 0)
	k.leaf = join(t.gen, span{l, 0, at, i})
	k.run = k.leaf.run(0, i, 0)
	t.insertKid(p, p[t.height-1].i+1, right, within)
}

// insertKid puts a leaf into the last inner node of p, and sums up what is above.
func (t *tree) insertKid(p *path, pos int, k kid, edge int) {
	for d := t.height - 1; ; d-- {
		in := p[d].inner
		in.insert(pos, k)
		if len(in.kids) <= fanout {
			t.refold(p, d)
			return
		}
		at := len(in.kids) / 2
		switch edge {
		case atFront:
			at = 1
		case atBack:
			at = len(in.kids) - 1
		}
		right := in.cut(at, t.gen)
		left := kid{run: fold(in.kids), inner: in}
		if d == 0 {
			t.root = &inner{gen: t.gen, kids: []kid{left, right}}
			t.height++
			t.all = left.run.then(right.run)
			return
		}
		*p[d-1].kid() = left
		pos, k = p[d-1].i+1, right
	}
}

func (in *inner) insert(i int, k kid) {
	if len(in.kids) == cap(in.kids) {
		n := len(in.kids)
		in.kids = append(make([]kid, 0, n+n/4+2), in.kids...)
	}
	in.kids = append(in.kids, kid{})
	copy(in.kids[i+1:], in.kids[i:])
	in.kids[i] = k
}

// cut takes the kids from at on away, into a new node.
func (in *inner) cut(at int, gen uint64) kid {
	right := &inner{gen: gen, kids: append([]kid(nil), in.kids[at:]...)}
	clear(in.kids[at:])
	in.kids = in.kids[:at]
	return kid{run: fold(right.kids), inner: right}
}

// drop takes out the kids from i to the one before j.
func (in *inner) drop(i, j int) {
	n := copy(in.kids[i:], in.kids[j:])
	clear(in.kids[i+n:])
	in.kids = in.kids[:i+n]
}

// set gives the i-th element another value.
func (t *tree) set(i int, value []byte) {
	var p path
	l, j := t.descend(&p, i, false)
	at := l.seek(j)
	old, _ := l.next(at)
	k := p[t.height-1].kid()
	k.sum = add(k.sum, mul(power(j), sub(hashOf(value), hashOf(old))))
	k.bytes += elementBytes(len(value)) - elementBytes(len(old))
	k.lp += ListpackBytes(value) - ListpackBytes(old)
	l.replace(at, value, inlineMax, room(len(l.buf)+recordBytes(len(value), inlineMax)))
	t.refold(&p, t.height-1)
	switch w := l.weight(); {
	case w > leafMax && l.n > 1:
		t.split(&p)
	case w < leafMin:
		t.settle(&p)
	}
}
