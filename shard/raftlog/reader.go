package raftlog

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	"go.etcd.io/bbolt"
)

// Reader reads the log of a stopped node without changing a byte of it, for offline tools.
type Reader struct {
	first, last uint64
	each        func(from uint64, fn func(*raft.Log) error) error
	stable      func(key []byte) ([]byte, error)
	closeFn     func() error
}

// OpenReader opens the log in dir read-only, whichever engine wrote it, and verifies it as Open does;
// the remains of an unfinished write are left out. ErrLocked while a Store has it open.
func OpenReader(dir string) (*Reader, error) {
	mark, _, err := readWatermark(filepath.Join(dir, watermarkFile))
	if err != nil {
		return nil, err
	}
	for _, k := range engineKinds {
		if k.in(dir) {
			return k.read(dir, mark)
		}
	}
	return nil, fmt.Errorf("no raft log in %s", dir)
}

// FirstIndex is 0 for an empty log.
func (r *Reader) FirstIndex() uint64 { return r.first }

// LastIndex is 0 for an empty log.
func (r *Reader) LastIndex() uint64 { return r.last }

// Each calls fn for the entries from index from on, in order, until it returns an error. The entry is fn's
// to keep.
func (r *Reader) Each(from uint64, fn func(*raft.Log) error) error {
	if r.last == 0 {
		return nil
	}
	return r.each(max(from, r.first), fn)
}

// Get returns a stable value; nil for a key that was never set.
func (r *Reader) Get(key []byte) ([]byte, error) { return r.stable(key) }

// Close releases the files.
func (r *Reader) Close() error { return r.closeFn() }

// openWALReader implements engineKind.read.
func openWALReader(dir string, mark uint64) (*Reader, error) {
	meta, err := openWALMeta(dir, true)
	if err != nil {
		return nil, err
	}
	out := &Reader{stable: meta.GetStable, closeFn: meta.Close}
	check := recovery{dir: dir, meta: meta, watermark: mark, scans: map[uint64]*segmentScan{}, onEntry: func(index uint64, _ raft.LogType, _ int64) {
		if out.first == 0 {
			out.first = index
		}
		out.last = index
	}}
	if err := check.run(); err != nil {
		return nil, errors.Join(err, meta.Close())
	}
	out.each = func(from uint64, fn func(*raft.Log) error) error {
		return eachWALEntry(&check, from, out.last, fn)
	}
	return out, nil
}

// eachWALEntry goes through the segments that recovery has verified.
func eachWALEntry(check *recovery, from, last uint64, fn func(*raft.Log) error) error {
	codec := recordCodec{salt: check.meta.salt}
	for _, info := range check.meta.state.Segments {
		scan := check.scans[info.ID]
		if scan == nil || scan.lastIndex() < from {
			continue
		}
		data, err := check.read(scan.path)
		if err != nil {
			return err
		}
		end := last
		if info.MaxIndex > 0 {
			end = info.MaxIndex
		}
		var failed error
		scanSegment(scan.path, data, info, check.meta.salt, func(index uint64, record []byte) {
			if failed != nil || index < max(from, info.MinIndex) || index > end {
				return
			}
			l := new(raft.Log)
			if failed = codec.decode(record, l); failed == nil {
				failed = fn(l)
			}
		})
		if failed != nil {
			return failed
		}
	}
	return nil
}

// openBoltReader implements engineKind.read.
func openBoltReader(dir string, mark uint64) (*Reader, error) {
	path := filepath.Join(dir, boltFile)
	if err := checkBoltFile(path, true, lockTimeout); err != nil {
		return nil, err
	}
	e := &boltEngine{path: path}
	err := guard(path, func() (err error) {
		e.db, err = raftboltdb.New(raftboltdb.Options{Path: path, BoltOptions: &bbolt.Options{Timeout: lockTimeout, ReadOnly: true}})
		return err
	})
	if err != nil {
		return nil, boltOpenError(path, err)
	}
	err = e.scan(mark, func(*raft.Log) error { return nil })
	first, last, boundsErr := e.bounds()
	if err := errors.Join(err, boundsErr); err != nil {
		return nil, errors.Join(err, e.close())
	}
	each := func(from uint64, fn func(*raft.Log) error) error {
		for index := from; index <= last; index++ {
			l := new(raft.Log)
			if err := e.get(index, l); err != nil {
				return err
			}
			if err := fn(l); err != nil {
				return err
			}
		}
		return nil
	}
	return &Reader{first: first, last: last, each: each, stable: e.getStable, closeFn: e.close}, nil
}
