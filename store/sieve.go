package store

import (
	"cmp"
	"slices"
)

// sieveQueue is the queue of SIEVE: the keys in order of insertion, oldest
// first, and the hand that walks over it (Zhang et al., "SIEVE is Simpler than
// LRU", NSDI 2024). A changed key keeps its place. Nodes are numbered from 1;
// node 0 is the anchor of the ring.
//
// Every replica keeps the queue while the policy is AllKeysSieve, so a new
// leader has it at once. The hand moves where Victims is called.
type sieveQueue struct {
	nodes chunks[sieveNode]
	free  uint32 // head of the list of unused nodes, linked by next
	hand  uint32 // the next node to look at; 0 means start at the oldest
}

type sieveNode struct {
	prev, next uint32 // towards older, towards newer
	ref        ref
}

// newSieveQueue takes the entries of s in order of their versions.
func newSieveQueue(s *Store) *sieveQueue {
	all := make([]ref, 0, s.n)
	s.dir.eachRef(func(r ref) bool {
		all = append(all, r)
		return true
	})
	slices.SortFunc(all, func(a, b ref) int { return cmp.Compare(s.mem.at(a).version, s.mem.at(b).version) })
	q := &sieveQueue{}
	q.nodes.push(sieveNode{})
	for _, r := range all {
		q.put(nil, r, s.mem.at(r))
	}
	return q
}

// put makes e take old's place, or the newest place when old is nil.
func (q *sieveQueue) put(old *Entry, r ref, e *Entry) {
	if old != nil && old.link != 0 {
		e.link, old.link = old.link, 0
		q.nodes.at(int(e.link)).ref = r
		return
	}
	id := q.free
	if id == 0 {
		id = uint32(q.nodes.len())
		q.nodes.push(sieveNode{})
	} else {
		q.free = q.nodes.at(int(id)).next
	}
	newest := q.nodes.at(0).prev
	*q.nodes.at(int(id)) = sieveNode{prev: newest, next: 0, ref: r}
	q.nodes.at(int(newest)).next = id
	q.nodes.at(0).prev = id
	e.link = id
}

// remove takes e out. A hand that points at it moves on to the next newer one.
func (q *sieveQueue) remove(e *Entry) {
	if e.link == 0 {
		return
	}
	n := q.nodes.at(int(e.link))
	if q.hand == e.link {
		q.hand = n.next
	}
	q.nodes.at(int(n.prev)).next = n.next
	q.nodes.at(int(n.next)).prev = n.prev
	*n = sieveNode{next: q.free}
	q.free = e.link
	e.link = 0
}

// resetSieve starts over after a change of policy or contents. A store with
// keys in it gets its queue from Prepare, or else from the first Victims.
func (s *Store) resetSieve() {
	s.sieve = nil
	if s.opt.Policy == AllKeysSieve && s.n == 0 {
		s.sieve = newSieveQueue(s)
	}
}

// Prepare builds what the first call of Victims would otherwise build, which
// for AllKeysSieve takes some tenths of a second per million keys. It is called
// after a series of Restore, before the store is in use.
func (s *Store) Prepare() {
	if s.opt.Policy == AllKeysSieve && s.sieve == nil {
		s.sieve = newSieveQueue(s)
	}
}
