package fsm

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"

	"github.com/hashicorp/raft"

	"github.com/lockstepkv/lockstep/fsm/lock"
	"github.com/lockstepkv/lockstep/internal/bulk"
	"github.com/lockstepkv/lockstep/resp"
	"github.com/lockstepkv/lockstep/snapshot"
	"github.com/lockstepkv/lockstep/snapshot/aof"
	"github.com/lockstepkv/lockstep/snapshot/rdb"
	"github.com/lockstepkv/lockstep/store"
)

// stateAux is the AUX field of the RDB file that carries what Redis does not
// know: clock, index, settings, sessions, idempotency records, locks.
const stateAux = "lockstep-state"

// FenceAux is the AUX field with the highest fence given out, in decimal: what a
// restore into another cluster must go on from.
const FenceAux = "lockstep-fence"

// sumAux is the AUX field with the running sum of the data, in hexadecimal: a state
// that is restored must come to the same.
const sumAux = "lockstep-sum"

// stateVersion is the format of stateAux. Of the formats that were written before, the one
// with refused entries has those before everything else, and neither has slots. Before 7
// there were no limits.
const (
	stateVersion         = 7
	formerVersion        = 4
	formerVersionRefused = 5
	formerVersionSlots   = 6
)

// frozen is a point in time of a state machine.
type frozen struct {
	store *store.Snapshot
	state [][]byte // see encodeState
	clock int64
	fence uint64
	index uint64
	// reached is index, or that of the snapshot that the state came from.
	reached uint64
	fsm     *FSM
	of      uint64 // FSM.restores
}

// replaced reports whether the state that was frozen is another one's by now.
func (z *frozen) replaced() bool { return z.fsm.restores.Load() != z.of }

var errReplaced = errors.New("the state was replaced meanwhile")

// Persist implements raft.FSMSnapshot. Raft closes or cancels the sink.
func (z *frozen) Persist(sink raft.SnapshotSink) error {
	return z.writeWhole(sink)
}

// writeWhole writes everything that another replica needs.
func (z *frozen) writeWhole(w io.Writer) error {
	if verify := z.fsm.opt.Verify; verify != nil {
		if err := verify(z.index); err != nil {
			return fmt.Errorf("the state is not written: %w", err)
		}
		if z.replaced() { // what was verified is another one
			return errReplaced
		}
	}
	return z.write(w, rdb.Aux{Key: stateAux, Value: z.state[0], More: z.state[1:]}, rdb.Aux{Key: sumAux, Value: strconv.AppendUint(nil, z.store.Sum(), 16)})
}

// write writes the RDB file.
func (z *frozen) write(w io.Writer, more ...rdb.Aux) error {
	aux := append([]rdb.Aux{{Key: FenceAux, Value: strconv.AppendUint(nil, z.fence, 10)}}, more...)
	err := rdb.Write(w, z.store, aux, z.clock)
	if errors.Is(err, rdb.ErrUnsound) && z.fsm.opt.OnUnsound != nil && !z.replaced() {
		z.fsm.opt.OnUnsound(err.Error())
	}
	return err
}

// Release implements raft.FSMSnapshot.
func (z *frozen) Release() { z.store.Release() }

// Backup is the keys as they were when FreezeBackup was called.
type Backup struct{ z *frozen }

// FreezeBackup freezes the keys for a backup. It is not ok if the state has not
// reached index need.
func (f *FSM) FreezeBackup(need uint64) (b *Backup, ok bool) {
	z, _ := f.freeze()
	if z.reached < need {
		z.Release()
		return nil, false
	}
	return &Backup{z}, true
}

// Write writes the keys as an RDB file, and returns the index that they stand for.
// Unlike a Raft snapshot it lacks the engine's state, which has tokens of locks in it
// and means nothing elsewhere, but for the highest fence.
func (b *Backup) Write(w io.Writer) (uint64, error) { return b.z.index, b.z.write(w) }

// Release gives up the frozen keys.
func (b *Backup) Release() { b.z.Release() }

// WriteState writes the state as a replica's snapshot has it, and returns the index of
// the newest command in it.
func (f *FSM) WriteState(w io.Writer) (uint64, error) {
	z, index := f.freeze()
	defer z.Release()
	return index, z.writeWhole(w)
}

// RestoreFrom replaces the state by that of an RDB file.
func (f *FSM) RestoreFrom(r io.Reader) error {
	next, sound, err := f.read(r)
	if err != nil {
		return err
	}
	next.restored = snapshot.IndexOf(r)
	f.mu.Lock()
	if !sound && f.opt.OnUnsound != nil {
		f.opt.OnUnsound("a restored snapshot does not come to the sum that was written with it")
	}
	f.become(next)
	reached := f.reached.Load()
	f.mu.Unlock()
	f.waiters.wake(reached)
	if f.opt.OnLocks != nil {
		f.opt.OnLocks(next.index, nil)
	}
	return nil
}

// read builds the state of an RDB file aside. sound is false if its data do not come
// to the sum that was written with them: they were damaged in memory, for the file has
// a checksum of its own.
func (f *FSM) read(r io.Reader) (next *FSM, sound bool, err error) {
	opt := f.opt
	opt.OnAudit, opt.OnRefused = nil, nil
	f.Inspect(func(s *store.Store, _ int64) { opt.Store = s.Options() }) // the policy may have changed since New
	st, aux, err := rdb.Read(r, opt.Store)
	if err != nil {
		return nil, false, fmt.Errorf("restore snapshot: %w", err)
	}
	next, sound = New(opt), true
	next.store = st
	for _, a := range aux {
		switch a.Key {
		case stateAux:
			if err := next.decodeState(a.Value); err != nil {
				return nil, false, fmt.Errorf("restore snapshot: %w", err)
			}
		case sumAux:
			sum, err := strconv.ParseUint(string(a.Value), 16, 64)
			sound = err == nil && sum == st.Sum()
		}
	}
	next.locks.SetWall(next.clock - next.mono)
	return next, sound, nil
}

// become takes over another state. Counters of what this process has done stay. The
// lock is held.
func (f *FSM) become(next *FSM) {
	next.store.Reconfigure(f.store.Options()) // the policy may have changed meanwhile
	f.state = next.state
	f.noteUsed()
	f.noteLocksDue()
	f.applied.Store(next.index)
	f.reached.Store(f.reachedLocked()) // assigned, also when it goes back
	f.restores.Add(1)
}

// encodeState encodes everything but the store. Maps are written in order, so
// that replicas in the same state write the same bytes. It comes in parts: what there is of
// an unfinished entry, which only grows, is not copied.
func (f *FSM) encodeState() [][]byte {
	b := f.refused.appendTo([]byte{stateVersion})
	for _, n := range []uint64{f.index, f.term, f.leading, uint64(f.clock), uint64(f.mono), f.lease, uint64(f.once.keepMillis), uint64(f.once.budget)} {
		b = binary.AppendUvarint(b, n)
	}
	b = binary.AppendUvarint(b, uint64(len(f.sessions)))
	for _, node := range slices.Sorted(maps.Keys(f.sessions)) {
		b = f.sessions[node].appendTo(appendString(b, node))
	}
	once := f.once
	b = once.appendTo(b)
	b = f.appendRemovals(b)
	b = binary.AppendUvarint(b, f.partial.term)
	b = binary.AppendUvarint(b, f.partial.id)
	b = binary.AppendUvarint(b, f.partial.total)
	b = binary.AppendUvarint(b, f.partial.come())
	tail := appendOwned(f.locks.AppendSlots(once.appendSlots(f.locks.AppendTo(nil))), f.slots)
	tail = appendLimits(tail, &f.limits)
	return append(append([][]byte{b}, f.partial.parts()...), tail)
}

// appendLimits writes those that are not Redis's, each with its number.
func appendLimits(b []byte, l *store.Limits) []byte {
	var list []byte
	n, usual := uint64(0), store.DefaultLimits()
	for i, v := range l {
		if v != usual[i] {
			list = binary.AppendUvarint(binary.AppendUvarint(list, uint64(i)), uint64(v))
			n++
		}
	}
	return append(binary.AppendUvarint(b, n), list...)
}

func (f *FSM) appendRemovals(b []byte) []byte {
	var list []byte
	n := uint64(0)
	cleared := f.store.Removals(func(slot uint16, revision uint64) {
		list = binary.AppendUvarint(binary.AppendUvarint(list, uint64(slot)), revision)
		n++
	})
	b = binary.AppendUvarint(binary.AppendUvarint(b, cleared), n)
	return append(b, list...)
}

func (s *session) appendTo(b []byte) []byte {
	b = binary.AppendUvarint(b, s.boot)
	b = binary.AppendUvarint(b, s.acked)
	b = binary.AppendUvarint(b, uint64(len(s.replies)))
	for _, seq := range slices.Sorted(maps.Keys(s.replies)) {
		b = binary.AppendUvarint(b, seq)
		b = binary.AppendUvarint(b, uint64(len(s.replies[seq])))
		for _, v := range s.replies[seq] {
			b = resp.AppendBinary(b, v)
		}
	}
	return b
}

func (f *FSM) decodeState(b []byte) error {
	if len(b) == 0 || b[0] < formerVersion || b[0] > stateVersion {
		return fmt.Errorf("%w: engine state of a format version other than %d to %d", ErrMalformedEntry, formerVersion, stateVersion)
	}
	version, d := b[0], decoder{rest: b[1:]}
	if version >= formerVersionRefused {
		f.refused = d.refusals()
	}
	f.index, f.term, f.leading, f.clock = d.uvarint(), d.uvarint(), d.uvarint(), int64(d.uvarint())
	f.mono, f.lease, f.once.keepMillis = int64(d.uvarint()), d.uvarint(), int64(d.uvarint())
	f.once.budget = int64(d.uvarint())
	for n := d.count(4); n > 0 && !d.failed; n-- {
		node := string(d.bytes())
		f.sessions[node] = d.session()
	}
	d.once(f.once)
	removed := f.store.RestoreRemovals(d.uvarint())
	for n := d.count(2); n > 0 && !d.failed; n-- {
		slot, revision := d.uvarint(), d.uvarint()
		if slot >= store.SlotCount {
			d.fail()
			break
		}
		removed(uint16(slot), revision)
	}
	f.partial = assembly{term: d.uvarint(), id: d.uvarint(), total: d.uvarint()}
	f.partial.data = bulk.Append(nil, d.bytes())
	if !d.failed {
		locks, rest, err := lock.Decode(d.rest, f.opt.OnLocks != nil)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrMalformedEntry, err)
		}
		f.locks, d.rest = locks, rest
	}
	if version >= formerVersionSlots {
		if err := d.slots(f); err != nil {
			return err
		}
	}
	if version >= stateVersion {
		d.limits(&f.limits)
	}
	return d.finish()
}

func (d *decoder) limits(l *store.Limits) {
	for n := d.count(2); n > 0 && !d.failed; n-- {
		which, value := d.uvarint(), int64(d.uvarint())
		if which >= uint64(store.LimitCount) || !l.Set(store.Limit(which), value) {
			d.fail()
		}
	}
}

// slots reads the slots of what was read before.
func (d *decoder) slots(f *FSM) error {
	d.slotsOfIDs(f.once)
	if !d.failed {
		rest, err := f.locks.DecodeSlots(d.rest)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrMalformedEntry, err)
		}
		d.rest = rest
	}
	f.slots = d.owned()
	return nil
}

func (d *decoder) session() *session {
	s := &session{boot: d.uvarint(), acked: d.uvarint(), replies: make(map[uint64][]resp.Value)}
	for n := d.count(2); n > 0 && !d.failed; n-- {
		seq := d.uvarint()
		replies := d.values(d.count(1))
		s.replies[seq] = replies
		s.held += costOf(replies)
	}
	return s
}

func (d *decoder) uint64() uint64 {
	if len(d.rest) < 8 {
		d.fail()
		return 0
	}
	v := binary.LittleEndian.Uint64(d.rest)
	d.rest = d.rest[8:]
	return v
}

func (d *decoder) values(n int) []resp.Value {
	list, rest, err := resp.DecodeBinaryList(d.rest, uint64(n))
	if err != nil {
		d.fail()
		return nil
	}
	d.rest = rest
	for i := range list {
		list[i] = list[i].Clone()
	}
	return list
}

func (d *decoder) value() resp.Value {
	if d.failed {
		return resp.Value{}
	}
	v, rest, err := resp.DecodeBinary(d.rest)
	if err != nil {
		d.fail()
		return resp.Value{}
	}
	d.rest = rest
	return v.Clone() // else one short reply would keep the whole state
}

// WriteBase writes the present data, without the engine's state, as the base of
// an append-only file.
func (f *FSM) WriteBase(w *aof.Writer) error {
	z, _ := f.freeze()
	defer z.Release()
	return w.Base(z.store, z.clock)
}
