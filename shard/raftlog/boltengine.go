package raftlog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	"go.etcd.io/bbolt"

	"github.com/lockstepkv/lockstep/internal/disk"
	"github.com/lockstepkv/lockstep/internal/failpoint"
)

// boltFile holds entries and stable values of engine bolt.
const boltFile = "raft.db"

// Buckets of raft-boltdb.
const (
	boltLogs   = "logs"
	boltStable = "conf"
)

// boltEngine stores entries with raft-boltdb. Each entry carries a checksum behind its extensions, each
// stable value one in front.
type boltEngine struct {
	db   *raftboltdb.BoltStore
	path string
	// Scratch space of the single writer: the entries with their checksums.
	logs []raft.Log
	ptrs []*raft.Log
	sums []byte
}

// boltRoom: some pages, and it grows as it needs.
func boltRoom(int) int64 { return 1 << 20 }

// openBoltEngine implements engineKind.open. A transaction of bbolt is whole or not there, so nothing is torn.
func openBoltEngine(o opening) (engine, error) {
	path := filepath.Join(o.Dir, boltFile)
	if err := prepareBolt(path); err != nil {
		return nil, err
	}
	e := &boltEngine{path: path}
	err := guard(path, func() (err error) {
		e.db, err = raftboltdb.New(raftboltdb.Options{Path: path, BoltOptions: &bbolt.Options{
			Timeout: lockTimeout, NoFreelistSync: true, FreelistType: bbolt.FreelistMapType,
		}})
		return err
	})
	if err != nil {
		return nil, boltOpenError(path, err)
	}
	if err := e.recover(o.watermark, o.onEntry); err != nil {
		return nil, errors.Join(err, e.db.Close())
	}
	return e, nil
}

// prepareBolt checks an existing file, or creates one aside and renames it: bbolt cannot open a file
// whose creation was cut short.
func prepareBolt(path string) error {
	if _, err := os.Stat(path); err == nil {
		return checkBoltFile(path, false, lockTimeout)
	} else if !errors.Is(err, os.ErrNotExist) {
		return err
	}
	tmp := path + ".tmp"
	if err := os.RemoveAll(tmp); err != nil {
		return err
	}
	db, err := raftboltdb.NewBoltStore(tmp)
	if err != nil {
		return err
	}
	if err := db.Close(); err != nil {
		return err
	}
	return disk.Rename(tmp, path)
}

// recover makes what was read durable (a crash may have come between write and fsync) and reads every
// entry: the only way to notice a damaged one before it is needed. What a failed fsync left in the page
// cache is durable already: raftboltdb.New has committed a transaction, see settle.
func (e *boltEngine) recover(watermark uint64, onEntry func(uint64, raft.LogType, int64)) error {
	if err := e.db.Sync(); err != nil {
		return err
	}
	if err := e.checkStable(); err != nil {
		return err
	}
	return e.scan(watermark, func(l *raft.Log) error {
		onEntry(l.Index, l.Type, entryBytes(len(l.Data), len(l.Extensions)))
		return nil
	})
}

// checkStable reads every stable value. Raft would find a damaged term or vote only when it has begun,
// and its error does not say that this is damage which the other replicas can repair.
func (e *boltEngine) checkStable() error {
	f, err := os.Open(e.path)
	if err != nil {
		return err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return err
	}
	keys, err := boltKeys(f, st.Size(), boltStable)
	if err != nil {
		return corrupt(e.path, -1, 0, "list the stable values: %v", err)
	}
	for _, key := range keys {
		if _, err := e.getStable(key); err != nil {
			return err
		}
	}
	return nil
}

// scan visits all entries and checks that none is missing.
func (e *boltEngine) scan(watermark uint64, fn func(*raft.Log) error) error {
	first, last, err := e.bounds()
	if err != nil {
		return err
	}
	if last < watermark {
		return corrupt(e.path, e.entryOffset(last), last+1, "log ends at %d, entries up to %d were acknowledged", last, watermark)
	}
	if last-first > 1<<40 {
		return corrupt(e.path, e.entryOffset(first), last, "impossible range of entries %d to %d", first, last)
	}
	if last == 0 {
		return nil
	}
	for index := first; index <= last; index++ {
		var l raft.Log
		err := e.get(index, &l)
		if errors.Is(err, raft.ErrLogNotFound) {
			err = corrupt(e.path, e.entryOffset(index-1), index, "entry is missing")
		}
		if err == nil {
			err = fn(&l)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// bounds implements engine.
func (e *boltEngine) bounds() (first, last uint64, err error) {
	err = guard(e.path, func() error {
		if first, err = e.db.FirstIndex(); err != nil {
			return err
		}
		last, err = e.db.LastIndex()
		return err
	})
	return first, last, err
}

// append implements engine. The caller's entries are shared with other goroutines, so the checksum goes
// into copies.
func (e *boltEngine) append(logs []*raft.Log) error {
	e.logs, e.ptrs, e.sums = e.logs[:0], e.ptrs[:0], e.sums[:0]
	need := 0
	for _, l := range logs {
		need += len(l.Extensions) + 4
	}
	if cap(e.sums) < need {
		e.sums = make([]byte, 0, need)
	}
	if cap(e.logs) < len(logs) {
		e.logs = make([]raft.Log, 0, len(logs))
	}
	for _, l := range logs {
		from := len(e.sums)
		e.sums = append(e.sums, l.Extensions...)
		e.sums = binary.LittleEndian.AppendUint32(e.sums, boltSum(l, l.Extensions))
		stored := *l
		stored.Extensions = e.sums[from:len(e.sums):len(e.sums)]
		e.logs = append(e.logs, stored)
		e.ptrs = append(e.ptrs, &e.logs[len(e.logs)-1])
	}
	err := guard(e.path, func() error {
		if err := failpoint.Inject("raftlog/sync"); err != nil {
			return err
		}
		return e.db.StoreLogs(e.ptrs)
	})
	clear(e.logs) // do not keep the data alive
	return err
}

// get implements engine.
func (e *boltEngine) get(index uint64, l *raft.Log) error {
	var stored raft.Log
	err := guard(e.path, func() error { return e.db.GetLog(index, &stored) })
	switch {
	case errors.Is(err, raft.ErrLogNotFound):
		return err
	case err != nil:
		return e.corruptEntry(index, fmt.Errorf("decode entry: %w", err))
	}
	n := len(stored.Extensions) - 4
	if n < 0 || stored.Index != index {
		return e.corruptEntry(index, errors.New("entry has no checksum or another index"))
	}
	ext := stored.Extensions[:n:n]
	if boltSum(&stored, ext) != binary.LittleEndian.Uint32(stored.Extensions[n:]) {
		return e.corruptEntry(index, errRecordSum)
	}
	stored.Extensions = nil
	if n > 0 {
		stored.Extensions = ext
	}
	if len(stored.Data) == 0 {
		stored.Data = nil
	}
	*l = stored
	return nil
}

// corruptEntry reports a damaged entry, and where it lies in the file.
func (e *boltEngine) corruptEntry(index uint64, err error) *CorruptError {
	return &CorruptError{File: e.path, Offset: e.entryOffset(index), Index: index, Err: err}
}

// entryOffset returns where the entry at index lies in the file, or -1. What should follow an entry and is
// not there is reported with the offset of that entry.
func (e *boltEngine) entryOffset(index uint64) int64 {
	return e.offset(boltLogs, binary.BigEndian.AppendUint64(nil, index))
}

// offset returns where the value of key lies in the file, or -1.
func (e *boltEngine) offset(bucket string, key []byte) int64 {
	f, err := os.Open(e.path)
	if err != nil {
		return -1
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return -1
	}
	return locateBolt(f, st.Size(), bucket, key)
}

// deleteRange implements engine.
func (e *boltEngine) deleteRange(low, high uint64) error {
	return guard(e.path, func() error { return e.db.DeleteRange(low, high) })
}

// setStable implements engine.
func (e *boltEngine) setStable(key, val []byte) error {
	return guard(e.path, func() error { return e.db.Set(key, withSum(append(key[:len(key):len(key)], val...))) })
}

// getStable implements engine.
func (e *boltEngine) getStable(key []byte) ([]byte, error) {
	var raw []byte
	err := guard(e.path, func() (err error) {
		raw, err = e.db.Get(key)
		return err
	})
	if errors.Is(err, raftboltdb.ErrKeyNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	val, ok := checkSum(raw)
	if !ok || len(val) < len(key) || string(val[:len(key)]) != string(key) {
		return nil, corrupt(e.path, e.offset(boltStable, key), 0, "stable value %q damaged", key)
	}
	return append([]byte{}, val[len(key):]...), nil
}

// close implements engine.
func (e *boltEngine) close() error { return e.db.Close() }
