package wait

import (
	"encoding/binary"

	"github.com/cespare/xxhash/v2"
)

// What a waiter takes besides its strings, and what each of its places takes.
const (
	waiterBytes = 320
	placeBytes  = 256
)

// Sum is a running sum over who waits, kept as that changes. The order of the queues is not
// in it.
func (q *Queues) Sum() uint64 { return q.sum }

func costOf(w *Waiter) int64 {
	n := int64(waiterBytes + len(w.ID) + len(w.Arg))
	for i := range w.places {
		n += placeBytes + int64(len(w.places[i].queue.topic.Key))
	}
	return n
}

func hashOf(w *Waiter) uint64 {
	b := make([]byte, 0, 128)
	add := func(v uint64) { b = binary.LittleEndian.AppendUint64(b, v) }
	for i := range w.places {
		t := &w.places[i].queue.topic
		add(uint64(t.Kind))
		add(xxhash.Sum64String(t.Key))
	}
	add(xxhash.Sum64String(w.ID))
	add(xxhash.Sum64String(w.Arg))
	add(xxhash.Sum64String(w.Session.Node))
	add(w.Session.Boot)
	add(uint64(w.Deadline))
	return xxhash.Sum64(b)
}
