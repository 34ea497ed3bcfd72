package lock

import (
	"hash/maphash"
	"strings"
)

// order keeps the locks that are held in the order of their names, and counts them: a
// treap, whose nodes are the locks themselves. Its shape differs between processes, so
// that nobody can choose names that make it deep; what it answers does not.
type order struct{ root *held }

// branches are a lock's place in the tree.
type branches struct {
	left, right *held
	weight      uint64 // no lower than that of those below
	count       int    // of this lock and of those below
}

var orderSeed = maphash.MakeSeed()

func (l *held) size() int {
	if l == nil {
		return 0
	}
	return l.tree.count
}

func (l *held) recount() *held {
	l.tree.count = 1 + l.tree.left.size() + l.tree.right.size()
	return l
}

// add puts l in, whose name is not there.
func (o *order) add(l *held) {
	l.tree = branches{weight: maphash.String(orderSeed, l.name), count: 1}
	before, after := split(o.root, l.name)
	o.root = join(join(before, l), after)
}

// remove takes the lock with the given name out, if it is there.
func (o *order) remove(name string) { o.root = without(o.root, name) }

// split cuts a tree in two: the names before the given one, and the others.
func split(l *held, name string) (before, rest *held) {
	if l == nil {
		return nil, nil
	}
	if l.name < name {
		l.tree.right, rest = split(l.tree.right, name)
		return l.recount(), rest
	}
	before, l.tree.left = split(l.tree.left, name)
	return before, l.recount()
}

// join is the tree of two, all of whose names are in this order.
func join(a, b *held) *held {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	case a.tree.weight >= b.tree.weight:
		a.tree.right = join(a.tree.right, b)
		return a.recount()
	}
	b.tree.left = join(a, b.tree.left)
	return b.recount()
}

func without(l *held, name string) *held {
	switch {
	case l == nil:
		return nil
	case name < l.name:
		l.tree.left = without(l.tree.left, name)
	case name > l.name:
		l.tree.right = without(l.tree.right, name)
	default:
		left, right := l.tree.left, l.tree.right
		l.tree = branches{}
		return join(left, right)
	}
	return l.recount()
}

// before is how many names come before the given one.
func (o *order) before(name string) (n int) {
	for l := o.root; l != nil; {
		if l.name < name {
			n += l.tree.left.size() + 1
			l = l.tree.right
		} else {
			l = l.tree.left
		}
	}
	return n
}

// from calls fn for the locks from the given name on, in order, until it returns false.
func (o *order) from(name string, fn func(*held) bool) { visit(o.root, name, fn) }

func visit(l *held, name string, fn func(*held) bool) bool {
	switch {
	case l == nil:
		return true
	case l.name < name:
		return visit(l.tree.right, name, fn)
	}
	return visit(l.tree.left, name, fn) && fn(l) && visit(l.tree.right, name, fn)
}

// Listed is a lock of a list.
type Listed struct {
	Name string
	Info
}

// List calls fn for the locks that are held whose names have the prefix and come after
// the given one, by name, until it returns false. It reports whether it has come to the
// end.
func (t *Table) List(prefix, after string, fn func(Listed) bool) (end bool) {
	from := prefix
	if after >= prefix && after != "" {
		from = after + "\x00" // the next name there can be
	}
	end = true
	t.order.from(from, func(l *held) bool {
		if !strings.HasPrefix(l.name, prefix) {
			return false
		}
		end = fn(Listed{l.name, t.info(l)})
		return end
	})
	return end
}

// Count is how many locks are held whose names have the prefix. It takes a walk down the
// tree, however many there are.
func (t *Table) Count(prefix string) int {
	if end := afterPrefix(prefix); end != "" {
		return t.order.before(end) - t.order.before(prefix)
	}
	return len(t.locks) - t.order.before(prefix)
}

// afterPrefix is the first name after all those with the prefix; empty if none comes after.
func afterPrefix(prefix string) string {
	b := []byte(prefix)
	for n := len(b); n > 0; n-- {
		if b[n-1] < 0xff {
			b[n-1]++
			return string(b[:n])
		}
	}
	return ""
}
