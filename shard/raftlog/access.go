package raftlog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/raft"

	"github.com/lockstepkv/lockstep/internal/failpoint"
)

// Slots of the watchdog, in the order of watchedOps.
const (
	slotStore = iota
	slotSet
	slotDelete
)

func (s *Store) observe(op Op, d time.Duration, bytes int) {
	if s.o.Observe != nil {
		s.o.Observe(string(op), d, bytes)
	}
}

// FirstIndex implements raft.LogStore; 0 for an empty log.
func (s *Store) FirstIndex() (uint64, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return 0, ErrClosed
	}
	return s.sizes.first, nil
}

// LastIndex implements raft.LogStore; 0 for an empty log.
func (s *Store) LastIndex() (uint64, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return 0, ErrClosed
	}
	return s.sizes.last, nil
}

func (s *Store) bounds() (first, last uint64) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.sizes.first, s.sizes.last
}

// GetLog implements raft.LogStore. Errors: raft.ErrLogNotFound itself, *CorruptError, ErrClosed.
func (s *Store) GetLog(index uint64, l *raft.Log) error {
	s.mu.RLock()
	if s.closed {
		s.mu.RUnlock()
		return ErrClosed
	}
	if index < s.sizes.first || index > s.sizes.last || index == 0 {
		s.mu.RUnlock()
		return raft.ErrLogNotFound
	}
	sum, hit := s.cache.get(index, l)
	s.mu.RUnlock()
	if hit && l.Index == index && sumOf(l) == sum {
		return nil
	}
	if hit {
		s.damaged(index)
		*l = raft.Log{}
	}
	began := time.Now()
	if err := s.readDisk(index, l); err != nil {
		return err
	}
	s.observe(OpRead, time.Since(began), int(entryBytes(len(l.Data), len(l.Extensions))))
	return nil
}

// damaged counts an entry whose copy in memory has changed by itself, and tells of the first.
func (s *Store) damaged(index uint64) {
	if s.cacheDamage.Add(1) == 1 {
		s.o.Logger.Error("an entry of the log has changed in memory, and is read from the disk: the memory may be bad",
			"dir", s.o.Dir, "index", index)
	}
}

// CacheDamaged counts the entries that were found changed in memory, and read from the disk.
func (s *Store) CacheDamaged() uint64 { return s.cacheDamage.Load() }

// readDisk reads an entry past the cache.
func (s *Store) readDisk(index uint64, l *raft.Log) error {
	s.ioMu.RLock()
	defer s.ioMu.RUnlock()
	s.mu.RLock()
	closed, first, last := s.closed, s.sizes.first, s.sizes.last
	s.mu.RUnlock()
	switch {
	case closed:
		return ErrClosed
	case index < first || index > last:
		return raft.ErrLogNotFound // deleted since the caller looked
	}
	err := s.engine.get(index, l)
	if errors.Is(err, raft.ErrLogNotFound) {
		return corrupt(s.o.Dir, -1, index, "entry is missing")
	}
	return err
}

// StoreLog implements raft.LogStore.
func (s *Store) StoreLog(l *raft.Log) error { return s.StoreLogs([]*raft.Log{l}) }

// StoreLogs implements raft.LogStore: all of logs are durable when it returns nil. ErrGap and ErrTooLarge
// leave the log as it was; any other error leaves the Store failed, with the old contents readable.
func (s *Store) StoreLogs(logs []*raft.Log) error {
	if len(logs) == 0 {
		return nil
	}
	bytes := 0
	for _, l := range logs {
		bytes += int(entryBytes(len(l.Data), len(l.Extensions)))
	}
	began := s.watch.begin(slotStore)
	s.writeMu.Lock()
	err := s.storeLocked(logs)
	s.writeMu.Unlock()
	s.observe(OpStore, s.watch.end(slotStore, began), bytes)
	return err
}

func (s *Store) storeLocked(logs []*raft.Log) error {
	if err := s.writable(); err != nil {
		return err
	}
	if err := s.checkBatch(logs); err != nil {
		return err
	}
	// Before they are written: what changes while that lasts does not count as right.
	s.sums = s.sums[:0]
	for _, l := range logs {
		s.sums = append(s.sums, sumOf(l))
	}
	err := failpoint.Inject("raftlog/store")
	if err == nil {
		err = s.engine.append(logs)
	}
	if err != nil {
		return s.fail("append", err)
	}
	s.mark.set(logs[len(logs)-1].Index)
	s.note(logs, s.sums)
	if s.o.CacheBudget != nil {
		s.o.CacheBudget.relieve()
	}
	return nil
}

// note takes what was written into the indexes and the cache.
func (s *Store) note(logs []*raft.Log, sums []uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, l := range logs {
		s.sizes.push(l.Index, entryBytes(len(l.Data), len(l.Extensions)))
		s.commands.push(l.Index, l.Type)
		s.cache.push(l, sums[i])
	}
}

// CacheHeld returns the memory that the cache of the newest entries takes.
func (s *Store) CacheHeld() int64 { return s.cache.held.Load() }

// writable returns why nothing may be written; writeMu is held.
func (s *Store) writable() error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return ErrClosed
	}
	if s.failed != nil {
		return fmt.Errorf("%w: %w", ErrFailed, s.failed)
	}
	return nil
}

// fail makes the Store refuse every later write; writeMu is held.
func (s *Store) fail(op string, err error) error {
	s.failed = fmt.Errorf("%s: %w", op, err)
	s.o.Logger.Error("raft log failed", "dir", s.o.Dir, "op", op, "err", err)
	return fmt.Errorf("%w: %w", ErrFailed, s.failed)
}

// checkBatch refuses what would break the log before anything is written; writeMu is held, so the bounds
// stay.
func (s *Store) checkBatch(logs []*raft.Log) error {
	_, last := s.bounds()
	want := last + 1
	if last == 0 {
		want = logs[0].Index
	}
	for _, l := range logs {
		if l.Index != want || l.Index == 0 {
			return fmt.Errorf("%w: entry %d where %d belongs", ErrGap, l.Index, want)
		}
		if len(l.Data)+len(l.Extensions) > MaxEntryBytes {
			return fmt.Errorf("%w: %d bytes at index %d, limit %d", ErrTooLarge, len(l.Data)+len(l.Extensions), l.Index, MaxEntryBytes)
		}
		want++
	}
	return nil
}

// DeleteRange implements raft.LogStore for a range that reaches the log's beginning or end. ErrGap leaves
// the log as it was, any other error leaves the Store failed.
func (s *Store) DeleteRange(low, high uint64) error {
	began := s.watch.begin(slotDelete)
	s.writeMu.Lock()
	err := s.deleteLocked(low, high)
	s.writeMu.Unlock()
	s.observe(OpDelete, s.watch.end(slotDelete, began), 0)
	return err
}

func (s *Store) deleteLocked(low, high uint64) error {
	if err := s.writable(); err != nil {
		return err
	}
	first, last := s.bounds()
	if last == 0 || low > high || high < first || low > last {
		return nil
	}
	if low > first && high < last {
		return fmt.Errorf("%w: cannot delete %d to %d from within %d to %d", ErrGap, low, high, first, last)
	}
	if high >= last {
		// The log is about to end earlier on purpose; the watermark must not call that a loss.
		end := low - 1
		if low <= first {
			end = 0
		}
		s.mark.set(end)
		if err := s.mark.sync(); err != nil {
			return s.fail("lower watermark", err)
		}
	}
	s.forget(low, high, first)
	err := failpoint.Inject("raftlog/delete")
	if err == nil {
		s.ioMu.Lock()
		err = s.engine.deleteRange(low, high)
		s.ioMu.Unlock()
	}
	if err != nil {
		return s.fail("delete", err)
	}
	return nil
}

// forget removes the range from memory before it goes from disk, so that readers get ErrLogNotFound.
func (s *Store) forget(low, high, first uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if low <= first {
		s.sizes.dropHead(high)
		s.commands.dropHead(high)
		s.cache.dropHead(high)
		return
	}
	s.sizes.dropTail(low)
	s.commands.dropTail(low)
	s.cache.dropTail(low)
}

// BytesAfter sums the bytes of the entries with an index greater than the given one.
func (s *Store) BytesAfter(index uint64) int64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.sizes.bytesAfter(index)
}

// TrailingWithin counts how many of the newest entries have at most maxBytes together.
func (s *Store) TrailingWithin(maxBytes int64) uint64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.sizes.trailingWithin(maxBytes)
}

// Set implements raft.StableStore. An error leaves the Store failed.
func (s *Store) Set(key, val []byte) error {
	began := s.watch.begin(slotSet)
	s.writeMu.Lock()
	err := s.setLocked(key, val)
	s.writeMu.Unlock()
	s.observe(OpSet, s.watch.end(slotSet, began), len(key)+len(val))
	return err
}

func (s *Store) setLocked(key, val []byte) error {
	if err := s.writable(); err != nil {
		return err
	}
	err := failpoint.Inject("raftlog/set")
	if err == nil {
		err = s.engine.setStable(key, val)
	}
	if err != nil {
		return s.fail("set", err)
	}
	return nil
}

// Get implements raft.StableStore; nil without an error for a key that was never set.
func (s *Store) Get(key []byte) ([]byte, error) {
	s.ioMu.RLock()
	defer s.ioMu.RUnlock()
	s.mu.RLock()
	closed := s.closed
	s.mu.RUnlock()
	if closed {
		return nil, ErrClosed
	}
	return s.engine.getStable(key)
}

// SetUint64 implements raft.StableStore.
func (s *Store) SetUint64(key []byte, val uint64) error {
	return s.Set(key, binary.LittleEndian.AppendUint64(nil, val))
}

// GetUint64 implements raft.StableStore; 0 without an error for a key that was never set.
func (s *Store) GetUint64(key []byte) (uint64, error) {
	b, err := s.Get(key)
	if err != nil || len(b) == 0 {
		return 0, err
	}
	if len(b) != 8 {
		return 0, fmt.Errorf("raftlog: value of %q is not a number", key)
	}
	return binary.LittleEndian.Uint64(b), nil
}
