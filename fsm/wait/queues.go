package wait

import (
	"iter"
	"slices"
)

// Waiter is a client that waits. Once it has joined, nothing of it changes.
type Waiter struct {
	Session  Session
	ID       string // names the waiter within each of its topics
	Deadline int64  // in the time of the log, or Never
	Arg      string // for who serves it

	one        [1]place // for the places of who waits at one topic
	places     []place  // none while it waits nowhere
	timer      Timer[*Waiter]
	prev, next *Waiter // of all who wait
}

// place is where a waiter stands at one topic.
type place struct {
	waiter     *Waiter
	queue      *queue
	prev, next *place
}

// queue is who waits at a topic; at least one does.
type queue struct {
	topic       Topic
	first, last *place
	n           int
}

// seat names a waiter at one of its topics.
type seat struct {
	topic Topic
	id    string
}

// Waits reports whether w waits.
func (w *Waiter) Waits() bool { return w.places != nil }

// Topic is the first of those at which w waits.
func (w *Waiter) Topic() Topic { return w.timer.Topic }

// Topics are those at which w waits, in the order of its request.
func (w *Waiter) Topics() []Topic {
	list := make([]Topic, len(w.places))
	for i := range w.places {
		list[i] = w.places[i].queue.topic
	}
	return list
}

// Moment is when the wait is over.
func (w *Waiter) Moment() Moment { return w.timer.Moment }

// Options say how waiters count. Without a function everything there is of a waiter counts.
type Options struct {
	Cost func(*Waiter) int64  // its part of Bytes
	Hash func(*Waiter) uint64 // its part of Sum
}

// Queues hold the waiters of one shard.
type Queues struct {
	opt         Options
	byTopic     map[Topic]*queue
	bySeat      map[seat]*Waiter
	first, last *Waiter // in the order in which they came
	sessions    map[Session]int
	timers      Timers[*Waiter]
	n           int
	bytes       int64
	sum         uint64
}

// New returns queues in which nobody waits.
func New(o Options) *Queues {
	if o.Cost == nil {
		o.Cost = costOf
	}
	if o.Hash == nil {
		o.Hash = hashOf
	}
	return &Queues{opt: o, byTopic: make(map[Topic]*queue), bySeat: make(map[seat]*Waiter), sessions: make(map[Session]int)}
}

// Join lets w wait at topics, at least one, behind all who wait there. It returns false, and
// does nothing, if a waiter of the same ID is at one of them, or w waits already.
func (q *Queues) Join(w *Waiter, topics ...Topic) bool {
	if w.Waits() {
		return false
	}
	for _, t := range topics {
		if q.Find(t, w.ID) != nil {
			return false
		}
	}
	if w.places = w.one[:0]; len(topics) > 1 {
		w.places = make([]place, 0, len(topics)) // places do not move once they are linked
	}
	for _, t := range topics {
		if q.Find(t, w.ID) == nil { // else named twice
			q.enter(w, t)
		}
	}
	if w.prev, w.next = q.last, nil; w.prev == nil {
		q.first = w
	} else {
		w.prev.next = w
	}
	q.last = w
	w.timer = Timer[*Waiter]{Moment: Moment{At: w.Deadline, Topic: topics[0], ID: w.ID}, Of: w}
	q.count(w, 1)
	if w.Deadline != Never {
		q.timers.Set(&w.timer, w.Deadline)
	}
	return true
}

// enter puts w at the end of a topic's queue.
func (q *Queues) enter(w *Waiter, t Topic) {
	list := q.byTopic[t]
	if list == nil {
		list = &queue{topic: t}
		q.byTopic[t] = list
	}
	list.n++
	q.bySeat[seat{t, w.ID}] = w
	w.places = append(w.places, place{waiter: w, queue: list, prev: list.last})
	p := &w.places[len(w.places)-1]
	if p.prev == nil {
		list.first = p
	} else {
		p.prev.next = p
	}
	list.last = p
}

// Leave takes w out of all its queues.
func (q *Queues) Leave(w *Waiter) {
	if !w.Waits() {
		return
	}
	q.count(w, -1)
	for i := range w.places {
		q.exit(&w.places[i])
	}
	w.places, w.one = nil, [1]place{}
	if w.prev == nil {
		q.first = w.next
	} else {
		w.prev.next = w.next
	}
	if w.next == nil {
		q.last = w.prev
	} else {
		w.next.prev = w.prev
	}
	w.prev, w.next = nil, nil
	q.timers.Clear(&w.timer)
}

func (q *Queues) exit(p *place) {
	list := p.queue
	if p.prev == nil {
		list.first = p.next
	} else {
		p.prev.next = p.next
	}
	if p.next == nil {
		list.last = p.prev
	} else {
		p.next.prev = p.prev
	}
	delete(q.bySeat, seat{list.topic, p.waiter.ID})
	if list.n--; list.n == 0 {
		delete(q.byTopic, list.topic)
	}
}

// count adds w to what is counted, or takes it away when by is -1. It has its places.
func (q *Queues) count(w *Waiter, by int) {
	q.n += by
	q.bytes += int64(by) * q.opt.Cost(w)
	q.sum += uint64(int64(by)) * q.opt.Hash(w)
	if q.sessions[w.Session] += by; q.sessions[w.Session] == 0 {
		delete(q.sessions, w.Session)
	}
}

// First is who is to be served next at a topic, nil if nobody waits there.
func (q *Queues) First(t Topic) *Waiter {
	if list := q.byTopic[t]; list != nil {
		return list.first.waiter
	}
	return nil
}

// At is who waits at a topic, in order. The one that is yielded may leave.
func (q *Queues) At(t Topic) iter.Seq[*Waiter] {
	return func(yield func(*Waiter) bool) {
		list := q.byTopic[t]
		if list == nil {
			return
		}
		for p := list.first; p != nil; {
			next := p.next
			if !yield(p.waiter) {
				return
			}
			p = next
		}
	}
}

// All is everybody who waits, in the order in which they came.
func (q *Queues) All() iter.Seq[*Waiter] {
	return func(yield func(*Waiter) bool) {
		for w := q.first; w != nil; {
			next := w.next
			if !yield(w) {
				return
			}
			w = next
		}
	}
}

// Find is the waiter of the given ID at a topic, or nil.
func (q *Queues) Find(t Topic, id string) *Waiter { return q.bySeat[seat{t, id}] }

// Len is how many wait at a topic.
func (q *Queues) Len(t Topic) int {
	if list := q.byTopic[t]; list != nil {
		return list.n
	}
	return 0
}

// Next is the waiter whose deadline is over first, nil if none has one.
func (q *Queues) Next() *Waiter {
	if t := q.timers.First(); t != nil {
		return t.Of
	}
	return nil
}

// OfNode is who waits from a node's sessions before the given boot, in the order in which they
// came: nobody is there to be told any more.
func (q *Queues) OfNode(node string, before uint64) []*Waiter {
	if !q.any(node, before) {
		return nil
	}
	var list []*Waiter
	for w := range q.All() {
		if w.Session.Node == node && w.Session.Boot < before {
			list = append(list, w)
		}
	}
	return list
}

func (q *Queues) any(node string, before uint64) bool {
	for s := range q.sessions {
		if s.Node == node && s.Boot < before {
			return true
		}
	}
	return false
}

// Sessions are those that have waiters, in order.
func (q *Queues) Sessions() []Session {
	list := make([]Session, 0, len(q.sessions))
	for s := range q.sessions {
		list = append(list, s)
	}
	slices.SortFunc(list, Session.compare)
	return list
}

// Waiting is how many wait, Bytes what they take. Who lets them wait bounds it.
func (q *Queues) Waiting() int { return q.n }
func (q *Queues) Bytes() int64 { return q.bytes }
