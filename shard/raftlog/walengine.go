package raftlog

import (
	"errors"

	"github.com/hashicorp/raft"
	"github.com/hashicorp/raft-wal/types"
)

// walEngine stores entries in segment files, which raft-wal's package segment writes.
type walEngine struct {
	meta     *walMeta
	segments *walSegments
	codec    *recordCodec
	encoded  []types.LogEntry // of the single writer
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
	files := newWALFiles(o.Options, meta.salt, r.scans)
	files.vfs.tail = r.tailData()
	segments, err := openWALSegments(files, meta, o.SegmentBytes, o.Logger)
	if err != nil {
		return nil, err
	}
	files.scans = nil
	return &walEngine{meta: meta, segments: segments, codec: &recordCodec{salt: meta.salt}}, nil
}

// append implements engine.
func (e *walEngine) append(logs []*raft.Log) error {
	e.codec.begin(logs)
	e.encoded = e.encoded[:0]
	for _, l := range logs {
		e.encoded = append(e.encoded, types.LogEntry{Index: l.Index, Data: e.codec.encode(l)})
	}
	err := e.segments.append(e.encoded)
	clear(e.encoded) // do not keep large records alive
	return err
}

// get implements engine.
func (e *walEngine) get(index uint64, l *raft.Log) error {
	return e.segments.read(index, func(record []byte) error { return e.codec.decode(record, l) })
}

// deleteRange implements engine.
func (e *walEngine) deleteRange(low, high uint64) error { return e.segments.deleteRange(low, high) }

// setStable implements engine.
func (e *walEngine) setStable(key, val []byte) error { return e.meta.SetStable(key, val) }

// getStable implements engine.
func (e *walEngine) getStable(key []byte) ([]byte, error) { return e.meta.GetStable(key) }

// bounds implements engine.
func (e *walEngine) bounds() (first, last uint64, err error) {
	first, last = e.segments.bounds()
	return first, last, nil
}

// close implements engine.
func (e *walEngine) close() error { return errors.Join(e.segments.close(), e.meta.Close()) }
