package raftlog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"github.com/lockstepkv/lockstep/internal/disk"
)

// Defaults of Options.
const (
	DefaultCacheBytes   = 32 << 20
	DefaultSegmentBytes = 64 << 20
)

// watermarkSyncEvery is how often the watermark is written out for the case of a power failure.
const watermarkSyncEvery = time.Second

// Options configure a Store. Only Dir is required.
type Options struct {
	Dir    string // created when missing; belongs to this Store alone
	Engine string // one of Engines; default: the first of them
	// CacheBytes bounds the memory for the newest entries; negative: no cache. With a CacheBudget, which is
	// shared with other Stores, that is the bound instead.
	CacheBytes  int64
	CacheBudget *CacheBudget
	// SegmentBytes is the size at which engine wal begins a new file. It takes the room for it in
	// advance, but no more than a quarter of what Free says.
	SegmentBytes int
	Free         func() (int64, error) // of the disk; nil: asks the file system
	// OnStall is called from the watchdog's goroutine, once per operation, when a write lasts longer than
	// StallTimeout. It must not wait for the Store. Zero or nil: no watchdog.
	StallTimeout time.Duration
	OnStall      func(op string, since time.Duration)
	// Observe, if set, is told of every disk operation; bytes as in BytesAfter.
	Observe func(op string, d time.Duration, bytes int)
	Logger  *slog.Logger // default: discard
}

func (o *Options) setDefaults() error {
	if o.Dir == "" {
		return errors.New("raftlog: no directory given")
	}
	if o.Engine == "" {
		o.Engine = engineKinds[0].name
	}
	if o.CacheBytes == 0 {
		o.CacheBytes = DefaultCacheBytes
	}
	if o.SegmentBytes == 0 {
		o.SegmentBytes = DefaultSegmentBytes
	}
	if o.SegmentBytes < 0 || o.SegmentBytes > 1<<30 {
		return fmt.Errorf("raftlog: segment size of %d bytes is not between 1 and 1 GiB", o.SegmentBytes)
	}
	if o.Free == nil {
		o.Free = func() (int64, error) { return disk.Free(o.Dir) }
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return nil
}

// Recovery tells what Open found.
type Recovery struct {
	Entries uint64
	Bytes   int64         // as in BytesAfter
	Took    time.Duration // for reading and verifying all of it
	// The remains of an unfinished write that were removed; TornBytes is 0 without any.
	TornFile              string
	TornOffset, TornBytes int64
}

// Store is one group's log on disk. See the package comment for its guarantees.
type Store struct {
	o        Options
	engine   engine
	mark     *watermark
	watch    *watchdog
	recovery Recovery
	stop     chan struct{}
	done     sync.WaitGroup

	cacheDamage atomic.Uint64 // see CacheDamaged

	// writeMu serialises writes. Lock order: writeMu, ioMu, CacheBudget.mu, mu.
	writeMu sync.Mutex
	failed  error    // first failed write; guarded by writeMu
	sums    []uint32 // of what is being written; guarded by writeMu

	// ioMu is held shared by reads from disk and exclusively while files go away: an
	// engine may close one that a reader has just found.
	ioMu sync.RWMutex

	mu       sync.RWMutex
	sizes    sizeIndex    // guarded by mu
	commands commandIndex // guarded by mu
	cache    entryCache   // guarded by mu
	closed   bool         // guarded by mu
}

var (
	_ raft.LogStore          = (*Store)(nil)
	_ raft.StableStore       = (*Store)(nil)
	_ raft.MonotonicLogStore = (*Store)(nil)
)

// Open opens the log in o.Dir, creating an empty one if there is none. It reads and verifies all of it.
// Errors: *CorruptError, ErrLocked, ErrEngine, or those of the file system.
func Open(o Options) (*Store, error) {
	if err := o.setDefaults(); err != nil {
		return nil, err
	}
	kind, err := kindOf(o.Engine)
	if err != nil {
		return nil, err
	}
	if err := disk.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, err
	}
	if err := kind.checkOwner(o.Dir); err != nil {
		return nil, err
	}
	s := &Store{o: o, stop: make(chan struct{})}
	s.cache.maxBytes = o.CacheBytes
	if o.CacheBudget != nil {
		s.cache.maxBytes, s.cache.budget = o.CacheBudget.limit, o.CacheBudget
	}
	if err := s.open(kind); err != nil {
		return nil, err
	}
	if o.CacheBudget != nil {
		o.CacheBudget.join(s)
	}
	s.watch = newWatchdog(o.StallTimeout, o.OnStall)
	s.done.Go(s.syncWatermark)
	return s, nil
}

// open recovers the engine and builds the byte accounting.
func (s *Store) open(kind engineKind) error {
	began := time.Now()
	noted, usable, err := readWatermark(filepath.Join(s.o.Dir, watermarkFile))
	if err != nil {
		return err
	}
	push := func(index uint64, typ raft.LogType, bytes int64) {
		s.sizes.push(index, bytes)
		s.commands.push(index, typ)
	}
	s.engine, err = kind.open(opening{Options: s.o, watermark: noted, recovery: &s.recovery, onEntry: push})
	if err != nil {
		return err
	}
	if err := s.checkBounds(); err != nil {
		return errors.Join(err, s.engine.close())
	}
	// Only now does this process hold the engine's file lock.
	if s.mark, _, err = openWatermark(s.o.Dir); err != nil {
		return errors.Join(err, s.engine.close())
	}
	if !usable && !s.sizes.empty() {
		s.o.Logger.Warn("raft log had no usable watermark", "dir", s.o.Dir)
	}
	s.mark.set(s.sizes.last)
	s.recovery.Took = time.Since(began)
	s.recovery.Bytes = s.sizes.bytesAfter(0)
	if !s.sizes.empty() {
		s.recovery.Entries = s.sizes.last - s.sizes.first + 1
	}
	if s.recovery.TornBytes > 0 {
		s.o.Logger.Warn("removed the remains of an unfinished write", "file", s.recovery.TornFile,
			"offset", s.recovery.TornOffset, "bytes", s.recovery.TornBytes)
	}
	return nil
}

// checkBounds compares what was verified with what the library made of it.
func (s *Store) checkBounds() error {
	first, last, err := s.engine.bounds()
	if err != nil {
		return err
	}
	if first != s.sizes.first || last != s.sizes.last {
		return corrupt(s.o.Dir, -1, s.sizes.last, "verified entries %d to %d, but the engine has %d to %d",
			s.sizes.first, s.sizes.last, first, last)
	}
	return nil
}

// Recovery tells what Open found.
func (s *Store) Recovery() Recovery { return s.recovery }

// IsMonotonic implements raft.MonotonicLogStore: indexes are contiguous with either engine, so Raft
// removes the whole log before it continues behind an installed snapshot.
func (s *Store) IsMonotonic() bool { return true }

// syncWatermark writes the watermark out once in a while. A failure is only logged: the watermark is a
// second opinion, and a failing disk fails the log's own fsync.
func (s *Store) syncWatermark() {
	ticker := time.NewTicker(watermarkSyncEvery)
	defer ticker.Stop()
	for {
		select {
		case <-s.stop:
			return
		case <-ticker.C:
			if err := s.mark.syncIfMoved(); err != nil {
				s.o.Logger.Warn("sync raft log watermark", "err", err)
			}
		}
	}
}

// Verify reads every entry from disk and checks it. It runs beside reads and writes; entries that are
// deleted meanwhile are passed over.
func (s *Store) Verify(ctx context.Context) error {
	first, last := s.bounds()
	for index := first; index <= last && last > 0; index++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		var l raft.Log
		if err := s.readDisk(index, &l); err != nil && !errors.Is(err, raft.ErrLogNotFound) {
			return err
		}
	}
	return nil
}

// Close waits for a running write, then closes the files. Later calls of other methods return ErrClosed.
func (s *Store) Close() error {
	s.writeMu.Lock()
	defer s.writeMu.Unlock()
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	s.mu.Unlock()
	if s.o.CacheBudget != nil {
		s.o.CacheBudget.leave(s)
	}
	close(s.stop)
	s.done.Wait()
	s.watch.close()
	s.ioMu.Lock()
	defer s.ioMu.Unlock()
	return errors.Join(s.engine.close(), s.mark.close())
}
