package rdb

import (
	"fmt"
	"io"
	"slices"
	"strconv"

	"github.com/lockstepkv/lockstep/store"
)

// Aux is a named field in the head of an RDB file. Redis ignores the names it
// does not know.
type Aux struct {
	Key   string
	Value []byte // any bytes, any length

	// More is what follows Value, when it is written: Read has all of it in Value.
	More [][]byte
}

// The AUX fields that this package writes by itself.
const (
	auxRedisVersion = "redis-ver"
	auxRedisBits    = "redis-bits"
	auxCreated      = "ctime"
	auxUsedMemory   = "used-mem"
	auxAOFBase      = "aof-base"

	auxFormat   = "lockstep-format"   // version of what Lockstep adds to RDB
	auxRevision = "lockstep-revision" // store.Snapshot.Revision
	auxVersions = "lockstep-versions" // see versions.go
)

const (
	// formatVersion is the value of auxFormat.
	formatVersion = 1
	// writtenFor is the Redis whose format and rules the files follow.
	writtenFor = "7.0.15"
)

func reserved(key string) bool {
	return slices.Contains([]string{auxRedisVersion, auxRedisBits, auxCreated, auxUsedMemory,
		auxAOFBase, auxFormat, auxRevision, auxVersions}, key)
}

// WriteOptions are the terms of WriteWith.
type WriteOptions struct {
	// NowMillis is the time of writing, Unix milliseconds.
	NowMillis int64

	// Eviction says whether keys carry their idle time or frequency in the
	// form that Redis reads, as Redis does by its policy. Lockstep's own
	// readers do not need it. The zero value writes neither.
	Eviction store.Options

	// AOFBase marks the file as the base of an append-only file.
	AOFBase bool
}

// Write writes sn as an RDB file of version 10. aux is handed out by Read as it
// is given here, in order; names that begin with "lockstep-" are best, names
// that RDB or this package uses are refused. now is in Unix milliseconds.
//
// Write buffers by itself and writes large values directly. It may run while the
// store that sn came from changes.
func Write(w io.Writer, sn *store.Snapshot, aux []Aux, now int64) error {
	return WriteWith(w, sn, aux, WriteOptions{NowMillis: now})
}

// WriteWith is Write with more to choose.
func WriteWith(w io.Writer, sn *store.Snapshot, aux []Aux, o WriteOptions) error {
	e := newEncoder(w)
	if err := writeTo(e, sn, aux, o); err != nil {
		return err
	}
	return e.finish()
}

func writeTo(e *encoder, sn *store.Snapshot, aux []Aux, o WriteOptions) error {
	if err := writeHead(e, sn, aux, o); err != nil {
		return err
	}
	k := keyWriter{encoder: e, opt: o, run: make([]*store.Entry, 0, keysPerRun)}
	add := k.add
	var read store.Summer
	err := sn.Each(func(entry *store.Entry) error {
		read.Add(entry)
		return add(entry)
	})
	if err != nil {
		return err
	}
	if read.Sum() != sn.Sum() {
		return ErrUnsound
	}
	return k.flushRun()
}

func writeHead(e *encoder, sn *store.Snapshot, aux []Aux, o WriteOptions) error {
	e.raw([]byte(fmt.Sprintf("%s%04d", magic, versionWritten)))
	e.aux(auxRedisVersion, []byte(writtenFor))
	e.auxInt(auxRedisBits, strconv.IntSize)
	e.auxInt(auxCreated, o.NowMillis/1000)
	e.auxInt(auxUsedMemory, sn.Used())
	if o.AOFBase {
		e.auxInt(auxAOFBase, 1)
	} else {
		e.auxInt(auxAOFBase, 0)
	}
	e.auxInt(auxFormat, formatVersion)
	e.aux(auxRevision, strconv.AppendUint(nil, sn.Revision(), 10))
	for _, a := range aux {
		if reserved(a.Key) {
			return fmt.Errorf("AUX field name %q is reserved", a.Key)
		}
		e.auxParts(a.Key, append([][]byte{a.Value}, a.More...))
	}
	if sn.Len() > 0 { // Redis names only databases that have keys
		e.byte(opSelectDB)
		e.length(0)
		e.byte(opResizeDB)
		e.length(uint64(sn.Len()))
		e.length(uint64(sn.VolatileLen()))
	}
	return e.err
}

// keyWriter writes keys in runs, each behind its chunk of versions.
type keyWriter struct {
	*encoder
	opt   WriteOptions
	run   []*store.Entry
	chunk []byte
}

func (k *keyWriter) add(e *store.Entry) error {
	k.run = append(k.run, e)
	if len(k.run) < keysPerRun {
		return nil
	}
	return k.flushRun()
}

func (k *keyWriter) flushRun() error {
	if len(k.run) == 0 {
		return k.err
	}
	k.chunk = appendChunk(k.chunk[:0], k.run, k.opt.NowMillis)
	k.aux(auxVersions, k.chunk)
	for _, e := range k.run {
		if err := k.entry(e); err != nil {
			return err
		}
	}
	clear(k.run)
	k.run = k.run[:0]
	return k.err
}

func (k *keyWriter) entry(e *store.Entry) error {
	if at := e.ExpireAt(); at != 0 {
		k.byte(opExpireMs)
		k.uint64(uint64(at))
	}
	k.access(e)
	t, ok := typeOf(e)
	if !ok {
		return Unsupported("key %q is a %v", e.Key(), e.Type())
	}
	k.byte(t)
	k.key(e.Key())
	k.value(e)
	return k.err
}

// typeOf returns the RDB type as which e is written.
func typeOf(e *store.Entry) (t byte, ok bool) {
	switch e.Type() {
	case store.String:
		return typeString, true
	case store.Hash:
		return typeHash, true
	case store.List:
		return typeQuicklist2, true
	}
	return 0, false
}

// value writes the value of e, without its type.
func (e *encoder) value(of *store.Entry) {
	switch of.Type() {
	case store.String:
		e.string(of.Look())
	case store.Hash:
		e.hash(of.Hash())
	case store.List:
		e.list(of.List())
	}
}

// access writes the idle time or the frequency, by Redis's rule for its policy.
func (k *keyWriter) access(e *store.Entry) {
	switch p := k.opt.Eviction.Policy; {
	case p == store.AllKeysLRU, p == store.VolatileLRU:
		k.byte(opIdle)
		k.length(uint64(e.IdleMillis(k.opt.NowMillis) / 1000))
	case p.LFU():
		k.byte(opFreq)
		k.byte(decayedFreq(e, k.opt))
	}
}

// decayedFreq returns the LFU counter as it is at the time of writing.
func decayedFreq(e *store.Entry, o WriteOptions) byte {
	freq := e.Access().Freq
	if o.Eviction.LFUDecayMinutes <= 0 {
		return freq
	}
	periods := e.IdleMillis(o.NowMillis) / (60_000 * int64(o.Eviction.LFUDecayMinutes))
	return freq - byte(min(periods, int64(freq)))
}
