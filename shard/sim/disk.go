package sim

import (
	"bytes"
	"maps"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"github.com/lockstepkv/lockstep/shard"
)

// Disk keeps a replica's log, term and vote over crashes. A write is durable when
// its flush has returned; a crash during a flush keeps a part of it.
type Disk struct {
	mu      sync.Mutex
	rng     *rand.Rand        // guarded by mu
	logs    []raft.Log        // guarded by mu; durable, contiguous
	stable  map[string][]byte // guarded by mu; durable
	pending []raft.Log        // guarded by mu; being flushed
	life    int               // guarded by mu; counts crashes
	slow    time.Duration     // guarded by mu; of each flush, besides the usual
	floor   uint64            // guarded by mu; see raftlog's index of commands
}

// NewDisk returns an empty disk.
func NewDisk(seed uint64) *Disk {
	return &Disk{rng: rand.New(rand.NewPCG(seed, 2)), stable: map[string][]byte{}}
}

// Crash loses what is not flushed. The log that is open has no effect any more.
func (d *Disk) Crash() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.life++
	if n := len(d.pending); n > 0 { // a prefix made it
		d.logs = append(d.logs, d.pending[:d.rng.IntN(n+1)]...)
	}
	d.pending, d.slow = nil, 0
}

// SetSlow lets every flush take longer by so much.
func (d *Disk) SetSlow(by time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.slow = by
}

// Range returns the first and the last index that are durable, 0 for none.
func (d *Disk) Range() (first, last uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.rangeLocked()
}

func (d *Disk) rangeLocked() (first, last uint64) {
	if len(d.logs) == 0 {
		return 0, 0
	}
	return d.logs[0].Index, d.logs[len(d.logs)-1].Index
}

// Entry returns a durable entry.
func (d *Disk) Entry(index uint64) (raft.Log, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	first, last := d.rangeLocked()
	if first == 0 || index < first || index > last {
		return raft.Log{}, false
	}
	return d.logs[index-first], true
}

// Open returns the log of a life of the node.
func (d *Disk) Open() shard.LogStore {
	d.mu.Lock()
	defer d.mu.Unlock()
	if first, _ := d.rangeLocked(); first > 0 {
		d.floor = first - 1
	}
	return &log{d: d, life: d.life}
}

// log is a Disk in one life of its node.
type log struct {
	d    *Disk
	life int
}

var _ shard.LogStore = (*log)(nil)

// flush takes its time. It reports false when the node has crashed since.
func (l *log) flush() bool {
	l.d.mu.Lock()
	took := time.Duration(100+l.d.rng.IntN(600))*time.Microsecond + l.d.slow
	if l.d.rng.IntN(200) == 0 {
		took += time.Duration(l.d.rng.IntN(80)) * time.Millisecond
	}
	l.d.mu.Unlock()
	time.Sleep(took)
	l.d.mu.Lock()
	defer l.d.mu.Unlock()
	return l.d.life == l.life
}

func (l *log) StoreLog(e *raft.Log) error { return l.StoreLogs([]*raft.Log{e}) }

func (l *log) StoreLogs(list []*raft.Log) error {
	l.d.mu.Lock()
	if l.d.life != l.life {
		l.d.mu.Unlock()
		return nil
	}
	l.d.pending = nil
	for _, e := range list {
		c := *e
		c.Data, c.Extensions = bytes.Clone(e.Data), bytes.Clone(e.Extensions)
		l.d.pending = append(l.d.pending, c)
	}
	l.d.mu.Unlock()
	if !l.flush() {
		return nil
	}
	l.d.mu.Lock()
	defer l.d.mu.Unlock()
	if len(l.d.logs) == 0 && len(l.d.pending) > 0 {
		l.d.floor = l.d.pending[0].Index - 1
	}
	l.d.logs = append(l.d.logs, l.d.pending...)
	l.d.pending = nil
	return nil
}

func (l *log) DeleteRange(low, high uint64) error {
	if !l.flush() {
		return nil
	}
	l.d.mu.Lock()
	defer l.d.mu.Unlock()
	first, last := l.d.rangeLocked()
	switch {
	case first == 0 || high < first || low > last:
	case low <= first && high >= last:
		l.d.logs = nil
	case low <= first:
		l.d.floor = l.newestLocked(high)
		l.d.logs = append([]raft.Log(nil), l.d.logs[high-first+1:]...)
	default:
		l.d.logs = l.d.logs[:low-first]
	}
	return nil
}

func (l *log) FirstIndex() (uint64, error) {
	first, _ := l.d.Range()
	return first, nil
}

func (l *log) LastIndex() (uint64, error) {
	_, last := l.d.Range()
	return last, nil
}

// GetLog implements raft.LogStore. Raft panics when an entry is missing that it has stored, and
// the Raft of a node that has crashed goes on for a moment: what it stored last is lost, and has no
// effect any more, but is not missing.
func (l *log) GetLog(index uint64, out *raft.Log) error {
	e, ok := l.d.Entry(index)
	switch {
	case ok:
		*out = e
	case l.crashed():
		*out = raft.Log{Index: index, Type: raft.LogNoop}
	default:
		return raft.ErrLogNotFound
	}
	return nil
}

func (l *log) crashed() bool {
	l.d.mu.Lock()
	defer l.d.mu.Unlock()
	return l.d.life != l.life
}

func (l *log) Set(key, val []byte) error {
	if !l.flush() {
		return nil
	}
	l.d.mu.Lock()
	defer l.d.mu.Unlock()
	next := maps.Clone(l.d.stable)
	next[string(key)] = bytes.Clone(val)
	l.d.stable = next
	return nil
}

func (l *log) Get(key []byte) ([]byte, error) {
	l.d.mu.Lock()
	defer l.d.mu.Unlock()
	return l.d.stable[string(key)], nil
}

func (l *log) SetUint64(key []byte, val uint64) error {
	return l.Set(key, []byte{byte(val), byte(val >> 8), byte(val >> 16), byte(val >> 24), byte(val >> 32), byte(val >> 40), byte(val >> 48), byte(val >> 56)})
}

func (l *log) GetUint64(key []byte) (v uint64, err error) {
	b, _ := l.Get(key)
	for i, c := range b {
		v |= uint64(c) << (8 * i)
	}
	return v, nil
}

func (l *log) IsMonotonic() bool { return true }

func (l *log) NewestCommand(index uint64) uint64 {
	l.d.mu.Lock()
	defer l.d.mu.Unlock()
	return l.newestLocked(index)
}

func (l *log) newestLocked(index uint64) uint64 {
	first, last := l.d.rangeLocked()
	switch {
	case first == 0 || index > last:
		return index
	case index < first:
		return min(index, l.d.floor)
	}
	for ; index >= first; index-- {
		if l.d.logs[index-first].Type == raft.LogCommand {
			return index
		}
	}
	return l.d.floor
}

func (l *log) BytesAfter(index uint64) (sum int64) {
	l.d.mu.Lock()
	defer l.d.mu.Unlock()
	for i := len(l.d.logs) - 1; i >= 0 && l.d.logs[i].Index > index; i-- {
		sum += int64(len(l.d.logs[i].Data))
	}
	return sum
}

// CacheHeld: there is no cache beside the entries.
func (l *log) CacheHeld() int64 { return 0 }

// CacheDamaged: likewise.
func (l *log) CacheDamaged() uint64 { return 0 }

func (l *log) TrailingWithin(maxBytes int64) (n uint64) {
	l.d.mu.Lock()
	defer l.d.mu.Unlock()
	for i := len(l.d.logs) - 1; i >= 0; i-- {
		if maxBytes -= int64(len(l.d.logs[i].Data)); maxBytes < 0 {
			break
		}
		n++
	}
	return n
}

func (l *log) Close() error { return nil }
