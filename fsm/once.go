package fsm

import (
	"encoding/binary"
	"maps"
	"slices"

	"github.com/cespare/xxhash/v2"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/resp"
	"github.com/lockstepkv/lockstep/store/keyslot"
)

// Defaults of the replicated settings. With them 1,000 ids a second fit, of one
// owner: 600,000 replies of ten minutes and the hashes of 1,800,000 ids of half an hour
// take less than 256 MB by the arithmetic below, for ids and replies of 36 bytes.
const (
	// DefaultOnceMillis is how long the reply to an id is kept: ten minutes.
	DefaultOnceMillis = 10 * 60 * 1000
	// DefaultOnceBytes is how much memory ids and replies may take: 512 MiB.
	DefaultOnceBytes = 512 << 20
)

// rememberMillis is how long an id is refused after its reply was dropped: half an
// hour. The id's hash alone is kept for that.
const rememberMillis = 30 * 60 * 1000

// graveyards is into how many parts that time is divided. What is remembered goes
// a part at a time.
const graveyards = 6

// ownerShare is which part of the memory one owner may take.
const ownerShare = 2

// What a record takes besides its strings, and what the hash of an id takes; as
// measured, with the maps that they are in.
const (
	recordBytes = 240
	graveBytes  = 32
)

// onceRecord is the outcome of one idempotent command. One that was forgotten
// stays in the order of age until its turn comes, without an id.
type onceRecord struct {
	id          string
	owner       string
	at          int64  // the log's monotonic time, milliseconds
	fingerprint uint64 // fingerprint of the command
	reply       resp.Value
	sum         uint64 // see onceTable.sum
	gone        bool
}

// grave holds the hashes of ids that came between two moments and whose replies
// are gone.
type grave struct {
	from, last int64
	hashes     map[uint64]struct{}
	order      []uint64         // of hashes, for snapshots: sorting them would take too long
	slots      []uint16         // of order, one by one
	byOwner    map[string]int64 // how many
	sum        uint64           // see onceTable.sum
}

// onceTable implements command.OnceTable. Records and hashes age by the log's
// monotonic time, so both are kept in order of age as they come.
//
// Within its time nothing is forgotten. When the memory is used up, by everybody
// or by one owner, new ids are refused.
//
// Each id belongs to the slot of its command's first key and goes where that slot goes, so
// slots stand beside whatever is kept, in columns of their own: a walk over those of millions
// of ids takes a millisecond or two. Looked up is an id in all slots of the shard.
type onceTable struct {
	keepMillis int64
	budget     int64 // bytes
	records    map[string]*onceRecord
	order      []*onceRecord
	slots      []uint16         // of order, one by one
	graves     []*grave         // by age, the oldest first
	bytes      int64            // of order and graves
	owners     map[string]int64 // bytes by owner
	sum        uint64           // of the hashes of records and graves, kept as they change
	refused    uint64           // since the process started; no part of the state
}

func newOnceTable() *onceTable {
	return &onceTable{
		keepMillis: DefaultOnceMillis,
		budget:     DefaultOnceBytes,
		records:    make(map[string]*onceRecord),
		owners:     make(map[string]int64),
	}
}

// Begin implements command.OnceTable.
func (t *onceTable) Begin(id, owner []byte) (reply resp.Value, fingerprint uint64, is command.OnceState) {
	if reply, fingerprint, is = t.Recorded(id); is == command.OnceNew {
		is = t.Room(id, owner, 0)
	}
	return reply, fingerprint, is
}

// Recorded implements command.OnceRecords.
func (t *onceTable) Recorded(id []byte) (reply resp.Value, fingerprint uint64, is command.OnceState) {
	if r, ok := t.records[string(id)]; ok {
		return r.reply, r.fingerprint, command.OnceDone
	}
	hash := xxhash.Sum64(id)
	for _, g := range t.graves {
		if _, ok := g.hashes[hash]; ok {
			return resp.Value{}, 0, command.OnceForgotten
		}
	}
	return resp.Value{}, 0, command.OnceNew
}

// Room implements command.OnceTable.
func (t *onceTable) Room(id, owner []byte, bytes int) (is command.OnceState) {
	cost := int64(recordBytes + len(id) + len(owner) + bytes)
	if t.bytes+cost > t.budget {
		is = command.OnceFull
	}
	// A reply that is too large for both does not mean that the memory is used up.
	if len(owner) > 0 && t.owners[string(owner)]+cost > t.budget/ownerShare && (is == command.OnceNew || bytes > 0) {
		is = command.OnceShare
	}
	if is != command.OnceNew {
		t.refused++
	}
	return is
}

// Finish implements command.OnceTable. It may be called with a reply that shares memory with the store.
func (t *onceTable) Finish(id, owner []byte, slot uint16, now int64, fingerprint uint64, reply resp.Value) {
	t.add(&onceRecord{id: string(id), owner: string(owner), at: now, fingerprint: fingerprint, reply: reply.Detach()}, slot)
}

// Forget implements command.OnceTable.
func (t *onceTable) Forget(id []byte) {
	r := t.records[string(id)]
	if r == nil {
		return
	}
	delete(t.records, r.id)
	t.charge(r.owner, -r.size())
	t.sum -= r.sum
	*r = onceRecord{at: r.at, gone: true}
}

func (t *onceTable) add(r *onceRecord, slot uint16) {
	t.records[r.id] = r
	t.order, t.slots = append(t.order, r), append(t.slots, slot)
	t.charge(r.owner, r.size())
	r.sum = r.hash()
	t.sum += r.sum
}

// charge counts bytes of an owner. Owners without any are not kept.
func (t *onceTable) charge(owner string, bytes int64) {
	t.bytes += bytes
	if t.owners[owner] += bytes; t.owners[owner] == 0 {
		delete(t.owners, owner)
	}
}

// size counts nothing for what was forgotten: a replica that was restored from a
// snapshot does not have it.
func (r *onceRecord) size() int64 {
	if r.gone {
		return 0
	}
	return int64(recordBytes + len(r.id) + len(r.owner) + r.reply.Size())
}

// maxHashedReply is up to which size a reply counts for the sum with its contents.
const maxHashedReply = 4 << 10

func (r *onceRecord) hash() uint64 {
	reply := uint64(r.reply.Size())
	if reply <= maxHashedReply {
		reply = xxhash.Sum64(resp.AppendBinary(nil, r.reply))
	}
	return mix(xxhash.Sum64String(r.id), xxhash.Sum64String(r.owner), uint64(r.at), r.fingerprint, reply)
}

// dropOldest drops the oldest reply and keeps its id's hash.
func (t *onceTable) dropOldest() {
	r, slot := t.order[0], t.slots[0]
	t.order[0] = nil // let go of the reply before the array is
	t.order, t.slots = t.order[1:], t.slots[1:]
	if r.gone {
		return
	}
	t.charge(r.owner, -r.size())
	t.sum -= r.sum
	delete(t.records, r.id)
	t.bury(xxhash.Sum64String(r.id), slot, r.owner, r.at)
}

// bury remembers the hash of an id of a slot that came at the given time.
func (t *onceTable) bury(hash uint64, slot uint16, owner string, at int64) {
	var g *grave
	if n := len(t.graves); n > 0 && at < t.graves[n-1].from+rememberMillis/graveyards {
		g = t.graves[n-1]
	} else {
		g = &grave{from: at, hashes: make(map[uint64]struct{}), byOwner: make(map[string]int64)}
		t.graves = append(t.graves, g)
	}
	g.last = at
	if _, there := g.hashes[hash]; there {
		return
	}
	t.inter(g, hash, slot)
	g.byOwner[owner]++
	t.charge(owner, graveBytes)
}

// inter puts a hash into a grave.
func (t *onceTable) inter(g *grave, hash uint64, slot uint16) {
	g.hashes[hash] = struct{}{}
	g.order, g.slots = append(g.order, hash), append(g.slots, slot)
	v := mix(hash, uint64(g.from))
	g.sum += v
	t.sum += v
}

// age drops what is older than the retention at the log's monotonic time now.
func (t *onceTable) age(now int64) {
	for len(t.order) > 0 && t.order[0].at+t.keepMillis <= now {
		t.dropOldest()
	}
	for len(t.graves) > 0 && t.graves[0].last+t.keepMillis+rememberMillis <= now {
		t.dropGrave()
	}
}

func (t *onceTable) dropGrave() {
	for owner, n := range t.graves[0].byOwner {
		t.charge(owner, -n*graveBytes)
	}
	t.sum -= t.graves[0].sum
	t.graves[0] = nil
	t.graves = t.graves[1:]
}

// ofSlot calls record with the replies that are kept for a slot, and forgotten with the hashes
// of its ids without one, both by age.
func (t *onceTable) ofSlot(slot uint16, record func(*onceRecord), forgotten func(hash uint64, in *grave)) {
	for i, of := range t.slots {
		if (of == slot || of == keyslot.None) && !t.order[i].gone {
			record(t.order[i])
		}
	}
	for _, g := range t.graves {
		for i, of := range g.slots {
			if of == slot || of == keyslot.None {
				forgotten(g.order[i], g)
			}
		}
	}
}

// remembered is how many ids are refused because their replies are gone.
func (t *onceTable) remembered() (n int) {
	for _, g := range t.graves {
		n += len(g.order)
	}
	return n
}

// appendTo encodes the table without its slots, as all versions have done it.
//
//	table  = uvarint(records) record* uvarint(graves) grave*
//	record = bytes(id) bytes(owner) uvarint(at) fingerprint:8 value
//	grave  = uvarint(from) uvarint(last) uvarint(n) hash:8* uvarint(owners)
//	         (bytes(owner) uvarint(n))*
func (t *onceTable) appendTo(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(len(t.records)))
	for _, r := range t.order {
		if r.gone {
			continue
		}
		b = appendString(appendString(b, r.id), r.owner)
		b = binary.AppendUvarint(b, uint64(r.at))
		b = binary.LittleEndian.AppendUint64(b, r.fingerprint)
		b = resp.AppendBinary(b, r.reply)
	}
	b = binary.AppendUvarint(b, uint64(len(t.graves)))
	for _, g := range t.graves {
		b = binary.AppendUvarint(b, uint64(g.from))
		b = binary.AppendUvarint(b, uint64(g.last))
		b = binary.AppendUvarint(b, uint64(len(g.order)))
		for _, hash := range g.order {
			b = binary.LittleEndian.AppendUint64(b, hash)
		}
		b = binary.AppendUvarint(b, uint64(len(g.byOwner)))
		for _, owner := range slices.Sorted(maps.Keys(g.byOwner)) {
			b = binary.AppendUvarint(appendString(b, owner), uint64(g.byOwner[owner]))
		}
	}
	return b
}

// appendSlots encodes the slots of what appendTo encodes, in the same order: two bytes each.
func (t *onceTable) appendSlots(b []byte) []byte {
	for i, r := range t.order {
		if !r.gone {
			b = binary.LittleEndian.AppendUint16(b, t.slots[i])
		}
	}
	for _, g := range t.graves {
		for _, slot := range g.slots {
			b = binary.LittleEndian.AppendUint16(b, slot)
		}
	}
	return b
}

// slotsOfIDs reads the slots of a table that once has read. Without them, in older states,
// its ids belong to no slot in particular.
func (d *decoder) slotsOfIDs(t *onceTable) {
	d.column(t.slots)
	for _, g := range t.graves {
		d.column(g.slots)
	}
}

func (d *decoder) column(slots []uint16) {
	if d.failed || len(d.rest) < 2*len(slots) {
		d.fail()
		return
	}
	for i := range slots {
		slots[i] = binary.LittleEndian.Uint16(d.rest[2*i:])
		d.failed = d.failed || slots[i] > keyslot.None
	}
	d.rest = d.rest[2*len(slots):]
}

func (d *decoder) once(t *onceTable) {
	for n := d.count(12); n > 0 && !d.failed; n-- {
		r := &onceRecord{id: string(d.bytes()), owner: string(d.bytes()), at: int64(d.uvarint()), fingerprint: d.uint64(), reply: d.value()}
		if d.failed {
			return
		}
		t.add(r, keyslot.None)
	}
	for n := d.count(4); n > 0 && !d.failed; n-- {
		g := &grave{from: int64(d.uvarint()), last: int64(d.uvarint()), hashes: make(map[uint64]struct{}), byOwner: make(map[string]int64)}
		for n := d.count(8); n > 0 && !d.failed; n-- {
			hash := d.uint64()
			if d.failed {
				return
			}
			t.inter(g, hash, keyslot.None)
		}
		for n := d.count(2); n > 0 && !d.failed; n-- {
			owner, hashes := string(d.bytes()), int64(d.uvarint())
			if hashes < 0 || hashes > int64(len(g.order)) {
				d.fail()
				return
			}
			g.byOwner[owner] = hashes
			t.charge(owner, hashes*graveBytes)
		}
		t.graves = append(t.graves, g)
	}
}
