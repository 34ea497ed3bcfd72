package wait

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// naive is queues as one would write them without any thought of speed: a list of who
// waits, in the order in which they came.
type naive struct{ list []*naiveWaiter }

type naiveWaiter struct {
	session  Session
	id, arg  string
	deadline int64
	topics   []Topic
}

func (n *naive) at(t Topic) (list []*naiveWaiter) {
	for _, w := range n.list {
		if slices.Contains(w.topics, t) {
			list = append(list, w)
		}
	}
	return list
}

func (n *naive) find(t Topic, id string) *naiveWaiter {
	for _, w := range n.at(t) {
		if w.id == id {
			return w
		}
	}
	return nil
}

func (n *naive) join(w *naiveWaiter) bool {
	for _, t := range w.topics {
		if n.find(t, w.id) != nil {
			return false
		}
	}
	var once []Topic
	for _, t := range w.topics {
		if !slices.Contains(once, t) {
			once = append(once, t)
		}
	}
	w.topics = once
	n.list = append(n.list, w)
	return true
}

func (n *naive) leave(w *naiveWaiter) {
	n.list = slices.DeleteFunc(n.list, func(o *naiveWaiter) bool { return o == w })
}

// next is who waits no longer than all others.
func (n *naive) next() (first *naiveWaiter) {
	for _, w := range n.list {
		if w.deadline != Never && (first == nil || w.moment().Before(first.moment())) {
			first = w
		}
	}
	return first
}

func (w *naiveWaiter) moment() Moment { return Moment{w.deadline, w.topics[0], w.id} }

// same compares a waiter of the queues with one of the naive list.
func same(w *Waiter, want *naiveWaiter) bool {
	if w == nil || want == nil {
		return w == nil && want == nil
	}
	return w.Session == want.session && w.ID == want.id && w.Arg == want.arg && w.Deadline == want.deadline &&
		w.Waits() && w.Topic() == want.topics[0] && w.Moment() == want.moment() && slices.Equal(w.Topics(), want.topics)
}

func drawTopics(t *rapid.T) (list []Topic) {
	for range rapid.SampledFrom([]int{1, 1, 1, 2, 3, 5}).Draw(t, "topics") {
		list = append(list, drawTopic(t))
	}
	return list
}

func drawTopic(t *rapid.T) Topic {
	return Topic{Kind(rapid.IntRange(1, 2).Draw(t, "kind")), rapid.SampledFrom([]string{"", "a", "b"}).Draw(t, "key")}
}

// TestAsNaive compares the queues with the naive ones over random histories, and with what is
// joined again in their order, as a snapshot's reader does it.
func TestAsNaive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n, q, now := &naive{}, New(Options{}), int64(1000)
		for step := range rapid.IntRange(1, 60).Draw(t, "steps") {
			now += rapid.Int64Range(0, 20).Draw(t, "pass")
			switch rapid.IntRange(0, 8).Draw(t, "op") {
			default:
				joinBoth(t, n, q, now, step)
			case 4:
				topic, id := drawTopic(t), drawID(t)
				if w := q.Find(topic, id); w != nil {
					n.leave(n.find(topic, id))
					q.Leave(w)
					q.Leave(w) // changes nothing
				}
			case 5:
				serveBoth(t, n, q, drawTopic(t))
			case 6:
				expireBoth(t, n, q, now)
			case 7:
				dropBoth(t, n, q)
			case 8:
				q = again(t, q)
			}
			compare(t, n, q)
		}
	})
}

func drawID(t *rapid.T) string { return fmt.Sprint("w", rapid.IntRange(1, 8).Draw(t, "id")) }

func joinBoth(t *rapid.T, n *naive, q *Queues, now int64, step int) {
	w := &naiveWaiter{
		session: Session{rapid.SampledFrom([]string{"n1", "n2"}).Draw(t, "node"), rapid.Uint64Range(1, 3).Draw(t, "boot")},
		id:      drawID(t), arg: fmt.Sprint("arg", step), deadline: now + rapid.Int64Range(0, 60).Draw(t, "wait"), topics: drawTopics(t),
	}
	if rapid.IntRange(0, 5).Draw(t, "forever") == 0 {
		w.deadline = Never
	}
	topics := slices.Clone(w.topics)
	real := &Waiter{Session: w.session, ID: w.id, Deadline: w.deadline, Arg: w.arg}
	want := n.join(w)
	if got := q.Join(real, topics...); got != want || real.Waits() != want {
		t.Fatalf("join %+v: %v, want %v", w, got, want)
	}
	if want && q.Join(real, Topic{9, "elsewhere"}) {
		t.Fatal("one who waits joined again")
	}
}

// serveBoth serves everybody at a topic, as a new entry of a stream does, or the first one.
func serveBoth(t *rapid.T, n *naive, q *Queues, topic Topic) {
	if rapid.Bool().Draw(t, "one") {
		if w := q.First(topic); w != nil {
			n.leave(n.at(topic)[0])
			q.Leave(w)
		}
		return
	}
	want := n.at(topic)
	for w := range q.At(topic) {
		if len(want) == 0 || !same(w, want[0]) {
			t.Fatalf("served %+v out of turn", w)
		}
		n.leave(want[0])
		want = want[1:]
		q.Leave(w)
	}
	if len(want) > 0 {
		t.Fatalf("%d were not served", len(want))
	}
}

func expireBoth(t *rapid.T, n *naive, q *Queues, now int64) {
	for w := q.Next(); w != nil && w.Deadline <= now; w = q.Next() {
		want := n.next()
		if !same(w, want) {
			t.Fatalf("over is %+v, want %+v", w, want)
		}
		n.leave(want)
		q.Leave(w)
	}
	if w := n.next(); w != nil && w.deadline <= now {
		t.Fatalf("%+v is over and waits", w)
	}
}

func dropBoth(t *rapid.T, n *naive, q *Queues) {
	node, before := rapid.SampledFrom([]string{"n1", "n2", "n3"}).Draw(t, "gone"), rapid.Uint64Range(0, 4).Draw(t, "before")
	var want []*naiveWaiter
	for _, w := range n.list {
		if w.session.Node == node && w.session.Boot < before {
			want = append(want, w)
		}
	}
	got := q.OfNode(node, before)
	if !slices.EqualFunc(got, want, same) {
		t.Fatalf("of %s before %d: %d waiters, want %d", node, before, len(got), len(want))
	}
	for i := range got {
		q.Leave(got[i])
		n.leave(want[i])
	}
}

func again(t *rapid.T, q *Queues) *Queues {
	next := New(Options{})
	for w := range q.All() {
		c := &Waiter{Session: w.Session, ID: w.ID, Deadline: w.Deadline, Arg: w.Arg}
		if !next.Join(c, w.Topics()...) {
			t.Fatalf("%+v did not join again", w)
		}
	}
	return next
}

func compare(t *rapid.T, n *naive, q *Queues) {
	if all := slices.Collect(q.All()); !slices.EqualFunc(all, n.list, same) || q.Waiting() != len(n.list) {
		t.Fatalf("%d wait, counted %d, want %d", len(all), q.Waiting(), len(n.list))
	}
	var bytes int64
	var sum uint64
	sessions := map[Session]bool{}
	for w := range q.All() {
		bytes += costOf(w)
		sum += hashOf(w)
		sessions[w.Session] = true
	}
	if q.Bytes() != bytes || q.Sum() != sum {
		t.Fatalf("%d bytes with sum %x, want %d with %x", q.Bytes(), q.Sum(), bytes, sum)
	}
	if list := q.Sessions(); len(list) != len(sessions) || !slices.IsSortedFunc(list, Session.compare) {
		t.Fatalf("sessions %v, want %v", list, sessions)
	}
	for _, kind := range []Kind{1, 2} {
		for _, key := range []string{"", "a", "b"} {
			compareTopic(t, n, q, Topic{kind, key})
		}
	}
	if !same(q.Next(), n.next()) {
		t.Fatalf("next is %+v, want %+v", q.Next(), n.next())
	}
	if len(n.list) == 0 && (len(q.byTopic) > 0 || len(q.sessions) > 0 || q.timers.Len() > 0 || q.bytes != 0 || q.sum != 0) {
		t.Fatalf("nobody waits, and this is left: %+v", q)
	}
}

func compareTopic(t *rapid.T, n *naive, q *Queues, topic Topic) {
	want := n.at(topic)
	got := slices.Collect(q.At(topic))
	if !slices.EqualFunc(got, want, same) || q.Len(topic) != len(want) {
		t.Fatalf("%v: %d wait, counted %d, want %d", topic, len(got), q.Len(topic), len(want))
	}
	if len(want) == 0 {
		want = []*naiveWaiter{nil}
	}
	if !same(q.First(topic), want[0]) {
		t.Fatalf("%v: first is %+v, want %+v", topic, q.First(topic), want[0])
	}
	for i := 1; i <= 8; i++ {
		id := fmt.Sprint("w", i)
		if !same(q.Find(topic, id), n.find(topic, id)) {
			t.Fatalf("%v: %s is %+v", topic, id, q.Find(topic, id))
		}
	}
}
