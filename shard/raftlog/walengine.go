package raftlog

import (
	"errors"

	"github.com/hashicorp/raft"
	wal "github.com/hashicorp/raft-wal"
)

// walEngine stores entries with raft-wal.
type walEngine struct {
	wal   *wal.WAL
	meta  *walMeta
	files *walFiles
	codec *recordCodec
}

// walRoom: a segment is taken in advance.
func walRoom(segmentBytes int) int64 { return int64(segmentBytes) }

// openWALEngine implements engineKind.open.
func openWALEngine(o opening) (engine, error) {
	meta, err := openWALMeta(o.Dir, false)
	if err != nil {
		return nil, err
	}
	e, err := recoverWAL(o, meta)
	if err != nil {
		return nil, errors.Join(err, meta.Close())
	}
	return e, nil
}

func recoverWAL(o opening, meta *walMeta) (*walEngine, error) {
	r := recovery{dir: o.Dir, meta: meta, watermark: o.watermark, onEntry: o.onEntry, scans: map[uint64]*segmentScan{}}
	if err := r.run(); err != nil {
		return nil, err
	}
	if err := r.repair(); err != nil {
		return nil, err
	}
	if r.torn != nil {
		o.recovery.TornFile, o.recovery.TornOffset, o.recovery.TornBytes = r.torn.path, r.torn.end, r.tornUntil-r.torn.end
	}
	e := &walEngine{
		meta:  meta,
		files: newWALFiles(o.Options, meta.salt, r.scans),
		codec: &recordCodec{salt: meta.salt},
	}
	e.files.vfs.tail = r.tailData()
	meta.onFailure = e.files.rotated
	var err error
	e.wal, err = wal.Open(o.Dir,
		wal.WithCodec(e.codec),
		wal.WithMetaStore(meta),
		wal.WithSegmentFiler(e.files),
		wal.WithSegmentSize(o.SegmentBytes),
		wal.WithLogger(Hclog(o.Logger, "raft-wal", quiet)),
	)
	e.files.scans = nil
	return e, err
}

// append implements engine.
func (e *walEngine) append(logs []*raft.Log) error {
	e.codec.begin(logs)
	err := e.wal.StoreLogs(logs)
	if err != nil {
		// A failed rotation shows only as a sealed segment; say what really happened.
		return errors.Join(err, e.files.failed())
	}
	return nil
}

// get implements engine.
func (e *walEngine) get(index uint64, l *raft.Log) error {
	// raft-wal still reads what a removed head has left in a segment.
	switch first, err := e.wal.FirstIndex(); {
	case err != nil:
		return err
	case index < first:
		return raft.ErrLogNotFound
	}
	return e.wal.GetLog(index, l)
}

// deleteRange implements engine.
func (e *walEngine) deleteRange(min, max uint64) error {
	if err := e.files.awaitRotation(); err != nil {
		return err
	}
	return e.wal.DeleteRange(min, max)
}

// setStable implements engine.
func (e *walEngine) setStable(key, val []byte) error { return e.meta.SetStable(key, val) }

// getStable implements engine.
func (e *walEngine) getStable(key []byte) ([]byte, error) { return e.meta.GetStable(key) }

// bounds implements engine.
func (e *walEngine) bounds() (first, last uint64, err error) {
	if first, err = e.wal.FirstIndex(); err != nil {
		return 0, 0, err
	}
	last, err = e.wal.LastIndex()
	return first, last, err
}

// close implements engine.
func (e *walEngine) close() error {
	_ = e.files.awaitRotation() // its failure was reported to a writer, or concerns nobody
	return errors.Join(e.wal.Close(), e.meta.Close())
}
