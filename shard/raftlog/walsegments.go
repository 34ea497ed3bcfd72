package raftlog

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/raft"
	"github.com/hashicorp/raft-wal/types"
)

// walSegments is the list of a log's segments: which index is in which file, when a file is full, what goes
// when entries are removed. The files are raft-wal's (package segment writes them), the list is ours: raft-wal's
// own takes etcd 3.3 into the program, and needed as much around it as this is.
//
// Each change of the list is committed to the metadata before a file is created, and before one is removed: a
// crash leaves a file that is named and not there (the newest, empty) or one that is there and not named.
type walSegments struct {
	files  *walFiles
	meta   *walMeta
	size   uint32 // of a segment, roughly
	logger *slog.Logger

	// next is the id of the next segment, tail the segment that is written; the writer's, or the rotation's
	// while there is one.
	next uint64
	tail types.SegmentWriter

	rotation sync.WaitGroup
	failure  error // why a rotation failed; read after rotation.Wait

	mu   sync.RWMutex
	list []walSegment // oldest first, the tail last; replaced, never changed; guarded by mu
}

// walSegment is one file and who reads it. MaxIndex of the tail is 0.
type walSegment struct {
	types.SegmentInfo
	reader types.SegmentReader
}

// openWALSegments opens what recovery has made of the list, and removes files that it does not name.
func openWALSegments(files *walFiles, meta *walMeta, size int, logger *slog.Logger) (*walSegments, error) {
	s := &walSegments{files: files, meta: meta, size: uint32(size), logger: logger, next: meta.state.NextSegmentID}
	if err := s.open(meta.state.Segments); err != nil {
		return nil, errors.Join(err, s.closeReaders(s.list))
	}
	return s, nil
}

func (s *walSegments) open(infos []types.SegmentInfo) error {
	stale, err := s.files.List()
	if err != nil {
		return err
	}
	for _, info := range infos {
		delete(stale, info.ID)
		if err := s.openOne(info); err != nil {
			return err
		}
	}
	if s.tail == nil {
		if err := s.replace(nil, 1); err != nil {
			return err
		}
	}
	for id, base := range stale {
		s.remove(types.SegmentInfo{ID: id, BaseIndex: base})
	}
	return nil
}

func (s *walSegments) openOne(info types.SegmentInfo) (err error) {
	seg := walSegment{SegmentInfo: info}
	if !info.SealTime.IsZero() {
		seg.reader, err = s.files.Open(info)
	} else {
		s.tail, err = s.files.RecoverTail(info)
		if errors.Is(err, fs.ErrNotExist) { // named by the list, and then came the crash
			s.tail, err = s.files.Create(info)
		}
		seg.reader = s.tail
	}
	if err == nil {
		s.list = append(s.list, seg)
	}
	return err
}

// replace makes keep, whose segments are sealed, and a new segment behind them the list. base is the first
// index that the new one can hold.
func (s *walSegments) replace(keep []walSegment, base uint64) error {
	info := types.SegmentInfo{
		ID: s.next, BaseIndex: base, MinIndex: base, SizeLimit: s.size, Codec: codecID, CreateTime: time.Now(),
	}
	s.next++
	list := append(slices.Clone(keep), walSegment{SegmentInfo: info})
	if err := s.commit(list); err != nil {
		return err
	}
	w, err := s.files.Create(info)
	if err != nil {
		return err
	}
	s.tail, list[len(list)-1].reader = w, w
	s.publish(list)
	return nil
}

func (s *walSegments) commit(list []walSegment) error {
	state := types.PersistentState{NextSegmentID: s.next}
	for _, seg := range list {
		state.Segments = append(state.Segments, seg.SegmentInfo)
	}
	return s.meta.CommitState(state)
}

func (s *walSegments) publish(list []walSegment) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = list
}

func (s *walSegments) segments() []walSegment {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.list
}

// bounds are 0 and 0 for an empty log.
func (s *walSegments) bounds() (first, last uint64) {
	list := s.segments()
	tail := list[len(list)-1].reader.(types.SegmentWriter)
	if last = tail.LastIndex(); last == 0 && len(list) > 1 {
		last = list[len(list)-2].MaxIndex
	}
	if last == 0 {
		return 0, 0
	}
	return list[0].MinIndex, last
}

// read passes the record of an entry to fn.
func (s *walSegments) read(index uint64, fn func(record []byte) error) error {
	list := s.segments()
	at, found := slices.BinarySearchFunc(list, index, func(seg walSegment, index uint64) int {
		return cmp.Compare(seg.BaseIndex, index)
	})
	if !found {
		at--
	}
	if at < 0 || index < list[at].MinIndex || list[at].MaxIndex > 0 && index > list[at].MaxIndex {
		return raft.ErrLogNotFound
	}
	b, err := list[at].reader.GetLog(index)
	if err != nil {
		return err
	}
	return errors.Join(fn(b.Bs), b.Close())
}

// append writes a batch; the first entry tells where an empty log begins.
func (s *walSegments) append(entries []types.LogEntry) error {
	if err := s.awaitRotation(); err != nil {
		return err
	}
	list := s.segments()
	if tail := list[len(list)-1]; len(list) == 1 && s.tail.LastIndex() == 0 && tail.BaseIndex != entries[0].Index {
		if err := s.replace(nil, entries[0].Index); err != nil {
			return err
		}
		s.drop(list)
	}
	if err := s.tail.Append(entries); err != nil {
		return err
	}
	sealed, indexStart, err := s.tail.Sealed()
	if sealed && err == nil {
		// The caller's entries are durable; the next write waits for the new file.
		s.rotation.Go(func() { s.failure = s.rotate(indexStart) })
	}
	return err
}

// rotate begins a new segment behind the tail, which is full.
func (s *walSegments) rotate(indexStart uint64) error {
	list := slices.Clone(s.segments())
	full := &list[len(list)-1]
	full.SealTime, full.MaxIndex, full.IndexStart = time.Now(), s.tail.LastIndex(), indexStart
	if err := s.replace(list, full.MaxIndex+1); err != nil {
		return fmt.Errorf("begin a new segment: %w", err)
	}
	return nil
}

// awaitRotation waits for a rotation under way, and says whether it failed.
func (s *walSegments) awaitRotation() error {
	s.rotation.Wait()
	return s.failure
}

// deleteRange removes a head, a tail or all.
func (s *walSegments) deleteRange(low, high uint64) error {
	if err := s.awaitRotation(); err != nil {
		return err
	}
	first, last := s.bounds()
	list := slices.Clone(s.segments())
	switch {
	case low <= first && high >= last:
		return s.replaceAndDrop(nil, last+1, list)
	case low <= first:
		at := 0 // the segment that keeps something
		for at < len(list)-1 && list[at].MaxIndex <= high {
			at++
		}
		list[at].MinIndex = high + 1
		if err := s.commit(list[at:]); err != nil {
			return err
		}
		s.publish(list[at:])
		s.drop(list[:at])
		return nil
	default:
		at := len(list) - 1
		for list[at].BaseIndex >= low {
			at--
		}
		cut := &list[at]
		if cut.SealTime.IsZero() { // without an index: it is read by the offsets that are known
			cut.SealTime = time.Now()
		}
		cut.MaxIndex = low - 1
		return s.replaceAndDrop(list[:at+1], low, list[at+1:])
	}
}

func (s *walSegments) replaceAndDrop(keep []walSegment, base uint64, gone []walSegment) error {
	if err := s.replace(keep, base); err != nil {
		return err
	}
	s.drop(gone)
	return nil
}

// drop closes and removes files that the list does not name any more. One that stays goes at the next start.
func (s *walSegments) drop(gone []walSegment) {
	if err := s.closeReaders(gone); err != nil {
		s.logger.Warn("close a removed segment of the raft log", "err", err)
	}
	for _, seg := range gone {
		s.remove(seg.SegmentInfo)
	}
}

func (s *walSegments) remove(info types.SegmentInfo) {
	if err := s.files.Delete(info.BaseIndex, info.ID); err != nil {
		s.logger.Warn("remove a segment of the raft log", "base", info.BaseIndex, "id", info.ID, "err", err)
	}
}

func (s *walSegments) closeReaders(list []walSegment) error {
	var err error
	for _, seg := range list {
		err = errors.Join(err, seg.reader.Close())
	}
	return err
}

func (s *walSegments) close() error {
	s.rotation.Wait() // its failure was told to a writer, or concerns nobody
	return s.closeReaders(s.segments())
}
