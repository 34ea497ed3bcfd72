package lock

import (
	"encoding/binary"

	"github.com/lockstepkv/lockstep/fsm/wait"
)

// waiterOf is the place in the queue that a request asks for.
func waiterOf(r *Request, now int64) *wait.Waiter {
	return newWaiter(r.Token, r.Owner, r.TTLMillis, now+r.WaitMillis, wait.Session{Node: r.Node, Boot: r.Boot})
}

func newWaiter(token, owner string, ttl, deadline int64, from wait.Session) *wait.Waiter {
	arg := append(binary.AppendUvarint(make([]byte, 0, binary.MaxVarintLen64+len(owner)), uint64(ttl)), owner...)
	return &wait.Waiter{Session: from, ID: token, Deadline: deadline, Arg: string(arg)}
}

// wants is what a waiter has asked for.
func wants(w *wait.Waiter) (ttl int64, owner string) {
	v, shift := uint64(0), 0
	for i := range len(w.Arg) {
		c := w.Arg[i]
		if v |= uint64(c&0x7f) << shift; c < 0x80 {
			return int64(v), w.Arg[i+1:]
		}
		shift += 7
	}
	return 0, ""
}

// waiterCost is what a waiter counts of the bytes of the table.
func waiterCost(w *wait.Waiter) int64 {
	_, owner := wants(w)
	return cost(w.Topic().Key, w.ID, owner)
}

// waiterHash is what a waiter adds to the table's sum.
func waiterHash(w *wait.Waiter) uint64 {
	ttl, owner := wants(w)
	return hashOf(w.Moment(), w.ID, owner, ttl, w.Session.Boot)
}
