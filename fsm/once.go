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

// onceRecord is the outcome of one idempotent command.
type onceRecord struct {
	id    string
	at    int64  // log clock, milliseconds
	print uint64 // fingerprint of the command
	reply resp.Value
}

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
	t.records[r.id] = r
	t.order = append(t.order, r)
}

// age drops what is older than the retention at the log clock now.
func (t *onceTable) age(now int64) {
	n := 0
	for n < len(t.order) && t.order[n].at+t.keepMillis <= now {
		r := t.order[n]
		delete(t.records, r.id)
		t.bury(tombstone{hash: xxhash.Sum64String(r.id), at: r.at})
		n++
	}
	if n > 0 {
		clear(t.order[:n]) // let go of the replies before the array is
		t.order = t.order[n:]
	}
	n = 0
	for n < len(t.graveOrder) && t.graveOrder[n].at+t.keepMillis+tombstoneMillis <= now {
		delete(t.graves, t.graveOrder[n].hash)
		n++
	}
	t.graveOrder = t.graveOrder[n:]
}

func (t *onceTable) bury(g tombstone) {
	t.graves[g.hash] = struct{}{}
	t.graveOrder = append(t.graveOrder, g)
}
