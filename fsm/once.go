package fsm

import (
	"github.com/cespare/xxhash/v2"

	"github.com/lockstepkv/lockstep/resp"
)

// DefaultOnceMillis is how long replies of idempotent commands are kept unless
// the cluster says otherwise: ten minutes.
const DefaultOnceMillis = 10 * 60 * 1000

// tombstoneMillis is how long an id is refused after its reply was dropped: a
// day. The id's hash alone is kept for that.
const tombstoneMillis = 24 * 60 * 60 * 1000

// onceRecord is the outcome of one idempotent command. One that was forgotten
// stays in the order of age until its turn comes, without an id.
type onceRecord struct {
	id    string
	at    int64  // log clock, milliseconds
	print uint64 // fingerprint of the command
	reply resp.Value
	gone  bool
}

// Bounds that hold whatever the rate: the newest ids are kept, older ones are
// forgotten before their time.
const (
	maxOnceBytes  = 256 << 20 // ids and replies
	maxTombstones = 1 << 18
)

type tombstone struct {
	hash uint64
	at   int64
}

// onceTable implements command.OnceTable. Records and tombstones age by the log
// clock, which never goes back, so both are kept in order of age as they come.
type onceTable struct {
	keepMillis int64
	records    map[string]*onceRecord
	order      []*onceRecord
	bytes      int // of order
	graves     map[uint64]struct{}
	graveOrder []tombstone
}

func newOnceTable() *onceTable {
	return &onceTable{
		keepMillis: DefaultOnceMillis,
		records:    make(map[string]*onceRecord),
		graves:     make(map[uint64]struct{}),
	}
}

// Begin implements command.OnceTable.
func (t *onceTable) Begin(id []byte, _ int64) (reply resp.Value, print uint64, hit, forgotten bool) {
	if r, ok := t.records[string(id)]; ok {
		return r.reply, r.print, true, false
	}
	_, forgotten = t.graves[xxhash.Sum64(id)]
	return resp.Value{}, 0, false, forgotten
}

// Finish implements command.OnceTable.
func (t *onceTable) Finish(id []byte, now int64, print uint64, reply resp.Value) {
	r := &onceRecord{id: string(id), at: now, print: print, reply: reply}
	t.add(r)
	for t.bytes > maxOnceBytes {
		t.forgetOldest()
	}
}

// Forget implements command.OnceTable.
func (t *onceTable) Forget(id []byte) {
	r := t.records[string(id)]
	if r == nil {
		return
	}
	delete(t.records, r.id)
	t.bytes -= r.size()
	*r = onceRecord{at: r.at, gone: true}
}

func (t *onceTable) add(r *onceRecord) {
	t.records[r.id] = r
	t.order = append(t.order, r)
	t.bytes += r.size()
}

// size counts nothing for what was forgotten: a replica that was restored from a
// snapshot does not have it.
func (r *onceRecord) size() int {
	if r.gone {
		return 0
	}
	return 64 + len(r.id) + r.reply.Size()
}

// forgetOldest drops the oldest reply and keeps its id's hash.
func (t *onceTable) forgetOldest() {
	r := t.order[0]
	t.order[0] = nil // let go of the reply before the array is
	t.order = t.order[1:]
	t.bytes -= r.size()
	if r.gone {
		return
	}
	delete(t.records, r.id)
	t.bury(tombstone{hash: xxhash.Sum64String(r.id), at: r.at})
}

// age drops what is older than the retention at the log clock now.
func (t *onceTable) age(now int64) {
	for len(t.order) > 0 && t.order[0].at+t.keepMillis <= now {
		t.forgetOldest()
	}
	for len(t.graveOrder) > 0 && (len(t.graveOrder) > maxTombstones || t.graveOrder[0].at+t.keepMillis+tombstoneMillis <= now) {
		delete(t.graves, t.graveOrder[0].hash)
		t.graveOrder = t.graveOrder[1:]
	}
}

func (t *onceTable) bury(g tombstone) {
	t.graves[g.hash] = struct{}{}
	t.graveOrder = append(t.graveOrder, g)
}
