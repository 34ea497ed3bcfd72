package snapshot

import (
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/lockstepkv/lockstep/internal/disk"
)

const (
	trailerLen = 8 // the checksum at the end of an RDB file
	// stepBytes is how much is written between two calls of step. Twice as much is dirty
	// at most.
	stepBytes = 4 << 20
)

// sink writes one snapshot. It implements raft.SnapshotSink.
type sink struct {
	store *Store
	meta  fileMeta
	temp  string // directory while it is written
	final string
	file  *os.File
	sum   tailSum
	ahead int64         // offset up to which writeback was started
	clean int64         // offset up to which it was waited for
	busy  time.Duration // in this step
	err   error         // the first error of Write; Close must not succeed after it
	done  bool          // closed or canceled
}

// tailSum sums a stream except its last trailerLen bytes, which it keeps.
type tailSum struct {
	crc  uint64
	last byte // the last one that is in crc
	tail [trailerLen]byte
	kept int
	size int64
}

func (t *tailSum) add(p []byte) {
	if len(p) > 0 {
		t.crc = crc64Update(t.crc, p)
		t.last = p[len(p)-1]
	}
}

func (t *tailSum) write(p []byte) {
	t.size += int64(len(p))
	if len(p) >= trailerLen {
		t.add(t.tail[:t.kept])
		body := len(p) - trailerLen
		t.add(p[:body])
		t.kept = copy(t.tail[:], p[body:])
		return
	}
	if over := t.kept + len(p) - trailerLen; over > 0 {
		t.add(t.tail[:over])
		t.kept = copy(t.tail[:], t.tail[over:t.kept])
	}
	t.kept += copy(t.tail[t.kept:], p)
}

// check says whether the stream ends with the EOF opcode and the sum of what
// stands before. The sum alone does not notice zeros behind it: this CRC starts
// at 0 and is not inverted, so it is its own continuation.
func (t *tailSum) check() error {
	if t.size < int64(rdbHeaderLen+1+trailerLen) {
		return damaged("%d bytes are too few for an RDB file", t.size)
	}
	if got := binary.LittleEndian.Uint64(t.tail[:]); got != t.crc {
		return damaged("checksum is %016x, the content's is %016x", got, t.crc)
	}
	if t.last != opEOF {
		return damaged("no end of file before the checksum")
	}
	return nil
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
		m, err = s.file.Write(p[:min(int64(len(p)), s.ahead+stepBytes-s.sum.size)])
		s.busy += time.Since(started)
		s.sum.write(p[:m])
		n, p = n+m, p[m:]
		if err == nil && s.sum.size-s.ahead >= stepBytes {
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
	if err := writeback(s.file, s.clean, s.ahead, s.sum.size); err != nil {
		return err
	}
	s.clean, s.ahead = s.ahead, s.sum.size
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
		if err = s.sum.check(); err != nil {
			err = &CorruptError{File: filepath.Join(s.temp, stateFile), Offset: s.sum.size, Err: err}
		}
	}
	if err == nil {
		err = s.file.Sync()
	}
	if err = errors.Join(err, s.file.Close()); err != nil {
		return err
	}
	s.meta.Size, s.meta.CRC64 = s.sum.size, s.sum.crc
	b, err := encodeMeta(&s.meta)
	if err != nil {
		return err
	}
	err = createSync(filepath.Join(s.temp, metaFile), 0o600, func(w io.Writer) error {
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
