package lock

import (
	"encoding/binary"
	"errors"
	"maps"
	"slices"

	"github.com/lockstepkv/lockstep/fsm/wait"
	"github.com/lockstepkv/lockstep/internal/wire"
	"github.com/lockstepkv/lockstep/store/keyslot"
)

// ErrMalformed means that encoded locks are damaged or of another version.
var ErrMalformed = errors.New("malformed locks")

// AppendTo encodes the table without the slots of marks: the same bytes for the same state,
// as all versions have written it.
//
//	table  = uvarint(lastFence) uvarint(floor) uvarint(locks) lock* marks
//	lock   = bytes(name) bytes(token) bytes(owner) uvarint(ttl) uvarint(fence)
//	         uvarint(ends) uvarint(waiters) waiter*
//	waiter = bytes(token) bytes(owner) uvarint(ttl) uvarint(deadline) bytes(node)
//	         uvarint(boot)
//	marks  = uvarint(forgotten) uvarint(n) (key:16 bytes, uvarint(fence), uvarint(2*usedAt + granted))*
func (t *Table) AppendTo(b []byte) []byte {
	b = appendUvarints(b, t.lastFence, t.floor, uint64(len(t.locks)))
	for _, name := range slices.Sorted(maps.Keys(t.locks)) {
		b = t.appendLock(b, t.locks[name])
	}
	b = appendUvarints(b, t.marks.forgotten, uint64(len(t.marks.byKey)))
	for m := t.marks.oldest; m != nil; m = m.next {
		b = append(b, m.key[:]...)
		used := uint64(m.usedAt) << 1
		if m.granted {
			used |= 1
		}
		b = appendUvarints(b, m.fence, used)
	}
	return b
}

func (t *Table) appendLock(b []byte, l *held) []byte {
	b = appendStrings(b, l.name, l.token, l.owner)
	b = appendUvarints(b, uint64(l.ttl), l.fence, uint64(l.timer.At), uint64(t.queues.Len(Topic(l.name))))
	for w := range t.queues.At(Topic(l.name)) {
		ttl, owner := wants(w)
		b = appendStrings(b, w.ID, owner)
		b = appendUvarints(b, uint64(ttl), uint64(w.Deadline))
		b = appendStrings(b, w.Session.Node)
		b = appendUvarints(b, w.Session.Boot)
	}
	return b
}

func appendUvarints(b []byte, list ...uint64) []byte {
	for _, v := range list {
		b = binary.AppendUvarint(b, v)
	}
	return b
}

func appendStrings(b []byte, list ...string) []byte {
	for _, s := range list {
		b = append(binary.AppendUvarint(b, uint64(len(s))), s...)
	}
	return b
}

// Decode reads a table from the beginning of b and returns what follows it.
func Decode(b []byte, collectEvents bool) (t *Table, rest []byte, err error) {
	d := decoder{rest: b}
	t = NewTable(collectEvents)
	t.lastFence, t.floor = d.uvarint(), d.uvarint()
	for n := d.count(7); n > 0 && !d.failed; n-- {
		t.decodeLock(&d)
	}
	t.marks.forgotten = d.uvarint()
	for n := d.count(18); n > 0 && !d.failed; n-- {
		var key [16]byte
		copy(key[:], d.take(16))
		fence, used := d.uvarint(), d.uvarint()
		if _, twice := t.marks.byKey[key]; twice {
			d.failed = true
		}
		if d.failed {
			break
		}
		m := t.marks.put(int64(used>>1), key, fence)
		m.granted, m.slots.every = used&1 != 0, true // see DecodeSlots
	}
	if d.failed {
		return nil, nil, ErrMalformed
	}
	return t, d.rest, nil
}

// everySlot stands for the number of a mark's slots when it belongs to all.
const everySlot = maxSlotsSeen + 1

// AppendSlots encodes the slots of the marks, in the order of AppendTo.
//
//	slots = (uvarint(home) uvarint(n) uvarint(slot)*)*
func (t *Table) AppendSlots(b []byte) []byte {
	for m := t.marks.oldest; m != nil; m = m.next {
		n := uint64(m.slots.n)
		if m.slots.every {
			n = everySlot
		}
		b = appendUvarints(b, uint64(m.home), n)
		for _, slot := range m.slots.list[:m.slots.n] {
			b = appendUvarints(b, uint64(slot))
		}
	}
	return b
}

// DecodeSlots reads the slots of the marks that Decode has read, from the beginning of b, and
// returns what follows them. Older versions have not written any; such marks belong to every slot.
func (t *Table) DecodeSlots(b []byte) (rest []byte, err error) {
	d := decoder{rest: b}
	for m := t.marks.oldest; m != nil && !d.failed; m = m.next {
		home, n := d.uvarint(), d.uvarint()
		m.slots = slotsSeen{every: n == everySlot}
		d.failed = d.failed || home > keyslot.None || n > everySlot
		for m.home = uint16(home); n > 0 && !m.slots.every && !d.failed; n-- {
			slot := d.uvarint()
			d.failed = d.failed || slot >= keyslot.Count
			m.slots.add([]uint16{uint16(slot)})
		}
	}
	if d.failed {
		return nil, ErrMalformed
	}
	return d.rest, nil
}

func (t *Table) decodeLock(d *decoder) {
	l := &held{name: d.string(), token: d.string(), owner: d.string(), ttl: int64(d.uvarint())}
	l.fence = d.uvarint()
	ends := int64(d.uvarint())
	if t.locks[l.name] != nil {
		d.failed = true
	}
	if d.failed {
		return
	}
	t.put(l)
	t.bytes += cost(l.name, l.token, l.owner)
	t.schedule(l, ends)
	for n := d.count(6); n > 0 && !d.failed; n-- {
		token, owner, ttl, deadline := d.string(), d.string(), int64(d.uvarint()), int64(d.uvarint())
		from := wait.Session{Node: d.string(), Boot: d.uvarint()}
		if d.failed || !t.queues.Join(newWaiter(token, owner, ttl, deadline, from), Topic(l.name)) {
			d.failed = true
			return
		}
	}
}

// decoder reads the primitives. The first failure sticks.
type decoder struct {
	rest   []byte
	failed bool
}

func (d *decoder) uvarint() uint64 {
	v, rest, ok := wire.CutUvarint(d.rest)
	d.rest, d.failed = rest, d.failed || !ok
	return v
}

// count reads a number of things that take at least so many bytes each. A loop over
// them must end when d has failed.
func (d *decoder) count(least int) int {
	v := d.uvarint()
	if v > uint64(len(d.rest)/least) {
		d.failed, d.rest = true, nil
		return 0
	}
	return int(v)
}

func (d *decoder) string() string { return string(d.take(d.count(1))) }

func (d *decoder) take(n int) []byte {
	if n > len(d.rest) {
		d.failed, d.rest = true, nil
		return nil
	}
	b := d.rest[:n]
	d.rest = d.rest[n:]
	return b
}
