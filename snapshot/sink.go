package snapshot

import (
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/lockstepkv/lockstep/internal/disk"
	"github.com/lockstepkv/lockstep/snapshot/rdb"
)

// stepBytes is how much is written between two calls of step. Twice as much is dirty
// at most.
const stepBytes = 4 << 20

// sink writes one snapshot. It implements raft.SnapshotSink.
type sink struct {
	store *Store
	meta  fileMeta
	temp  string // directory while it is written
	final string
	file  *os.File
	sum   rdb.TailSum
	ahead int64         // offset up to which writeback was started
	clean int64         // offset up to which it was waited for
	busy  time.Duration // in this step
	err   error         // the first error of Write; Close must not succeed after it
	done  bool          // closed or canceled
}

// ID returns the name by which Store.Open finds the snapshot after Close.
func (s *sink) ID() string { return s.meta.ID }

// Write appends to the snapshot.
func (s *sink) Write(p []byte) (n int, err error) {
	if s.done {
		return 0, os.ErrClosed
	}
	if s.err != nil {
		return 0, s.err
	}
	for len(p) > 0 && err == nil {
		started := time.Now()
		var m int
		m, err = s.file.Write(p[:min(int64(len(p)), s.ahead+stepBytes-s.sum.Size)])
		s.busy += time.Since(started)
		s.sum.Add(p[:m])
		n, p = n+m, p[m:]
		if err == nil && s.sum.Size-s.ahead >= stepBytes {
			err = s.step()
		}
	}
	s.err = s.store.failed(err)
	return n, err
}

// step has what was written since the last one go to the disk, and waits for what was
// written before: bytes that reach the disk all at once, by the fsync at the end, would
// hold up the fsyncs of the log. Then it lets others have the disk.
func (s *sink) step() error {
	started := time.Now()
	if err := writeback(s.file, s.clean, s.ahead, s.sum.Size); err != nil {
		return err
	}
	s.clean, s.ahead = s.ahead, s.sum.Size
	busy := s.busy + time.Since(started)
	s.busy = 0
	h := s.store.hooks.Load()
	if h.Pace != nil {
		h.Pace(busy)
	}
	if h.Room != nil {
		return h.Room()
	}
	return nil
}

// Close makes the snapshot durable and visible, or removes it when it is not a
// whole RDB file: one that was damaged on its way from another node must not
// become the newest. Calling it again does nothing.
func (s *sink) Close() error {
	if s.done {
		return nil
	}
	s.done = true
	if err := s.publish(); err != nil {
		_ = s.store.failed(err)
		if rmErr := os.RemoveAll(s.temp); rmErr != nil {
			err = errors.Join(err, rmErr)
		}
		return err
	}
	s.store.reap()
	return nil
}

func (s *sink) publish() error {
	err := s.err
	if err == nil {
		if err = s.sum.Check(); err != nil {
			err = &rdb.CorruptError{File: filepath.Join(s.temp, stateFile), Offset: s.sum.Size, Err: err}
		}
	}
	if err == nil {
		err = s.file.Sync()
	}
	if err = errors.Join(err, s.file.Close()); err != nil {
		return err
	}
	s.meta.Size, s.meta.CRC64 = s.sum.Size, s.sum.Sum
	b, err := encodeMeta(&s.meta)
	if err != nil {
		return err
	}
	err = disk.CreateSync(filepath.Join(s.temp, metaFile), 0o600, func(w io.Writer) error {
		_, err := w.Write(b)
		return err
	})
	if err != nil {
		return err
	}
	if err := disk.SyncDir(s.temp); err != nil {
		return err
	}
	if err := os.Rename(s.temp, s.final); err != nil {
		return err
	}
	if err := disk.SyncDir(s.store.dir); err != nil {
		// Whether the name survives a crash is unknown, so it is not promised.
		return errors.Join(err, os.RemoveAll(s.final))
	}
	s.store.log.Info("snapshot written", slog.String("id", s.meta.ID), slog.Int64("bytes", s.meta.Size))
	return nil
}

// Cancel removes what was written. After Close it does nothing.
func (s *sink) Cancel() error {
	if s.done {
		return nil
	}
	s.done = true
	return errors.Join(s.file.Close(), os.RemoveAll(s.temp))
}
