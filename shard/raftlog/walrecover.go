package raftlog

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/hashicorp/raft"
	"github.com/hashicorp/raft-wal/segment"
	"github.com/hashicorp/raft-wal/types"

	"github.com/lockstepkv/lockstep/internal/disk"
)

// recovery checks a wal directory before its segments are opened, because raft-wal takes everything behind a
// bad frame of the newest segment for an unfinished write and never looks at older segments. It also
// completes a segment rotation that a crash cut short.
type recovery struct {
	dir       string
	meta      *walMeta
	watermark uint64
	onEntry   func(index uint64, typ raft.LogType, bytes int64)
	scans     map[uint64]*segmentScan // by segment id
	last      uint64                  // newest valid entry so far
	torn      *segmentScan            // tail with remains of an unfinished write, if any
	tornUntil int64                   // behind the last such byte
	buf       []byte
}

// run scans all segments, oldest first. It changes nothing on disk.
func (r *recovery) run() error {
	segs := r.meta.state.Segments
	if err := r.checkFiles(segs); err != nil {
		return err
	}
	for i, info := range segs {
		if info.Codec != codecID {
			return corrupt(r.meta.path, -1, 0, "segment %d has an unknown record format %d", info.ID, info.Codec)
		}
		var err error
		switch isTail := i == len(segs)-1; {
		case isTail != info.SealTime.IsZero():
			err = corrupt(r.meta.path, -1, 0, "segment %d: only the newest may be unsealed", info.ID)
		case isTail:
			err = r.tail(info)
		case info.MaxIndex+1 != segs[i+1].BaseIndex || info.MinIndex < info.BaseIndex || info.MinIndex > info.MaxIndex:
			err = corrupt(r.meta.path, -1, 0, "segment list has a gap behind segment %d", info.ID)
		default:
			err = r.sealed(info)
		}
		if err != nil {
			return err
		}
	}
	if r.last < r.watermark {
		return corrupt(r.meta.path, -1, r.watermark, "log ends at %d, entries up to %d were acknowledged", r.last, r.watermark)
	}
	return nil
}

// checkFiles compares the directory with the segment list. Files that the list no longer names are left
// from a truncation and are removed later; a file that the list does not name yet, or files without
// any list, mean that the list itself was lost or is an old one.
func (r *recovery) checkFiles(segs []types.SegmentInfo) error {
	names, err := filepath.Glob(filepath.Join(r.dir, "*.wal"))
	if err != nil {
		return err
	}
	for _, name := range names {
		var base, id uint64
		if _, err := fmt.Sscanf(filepath.Base(name), "%020d-%016x.wal", &base, &id); err != nil {
			return corrupt(name, -1, 0, "not a segment file name")
		}
		if len(segs) == 0 || id >= r.meta.state.NextSegmentID {
			return corrupt(r.meta.path, -1, 0, "segment list does not know %s", filepath.Base(name))
		}
	}
	return nil
}

func (r *recovery) path(info types.SegmentInfo) string {
	return filepath.Join(r.dir, segment.FileName(info))
}

// read loads a segment file; the result is valid until the next call.
func (r *recovery) read(path string) ([]byte, error) {
	data, err := readSegment(path, r.buf)
	if err == nil {
		r.buf = data
	}
	return data, err
}

// sealed checks a segment in which every byte that counts was acknowledged.
func (r *recovery) sealed(info types.SegmentInfo) error {
	path := r.path(info)
	data, err := r.read(path)
	if errors.Is(err, fs.ErrNotExist) {
		return corrupt(path, -1, info.MinIndex, "segment file is missing")
	}
	if err != nil {
		return err
	}
	scan := scanSegment(path, data, info, r.meta.salt, func(index uint64, record []byte) {
		if index >= info.MinIndex && index <= info.MaxIndex {
			r.onEntry(index, viewRecord(record).typ, entryBytes(len(record)-recordHeaderLen, 0))
		}
	})
	if scan.lastIndex() < info.MaxIndex {
		return scan.corrupt(scan.lastIndex() + 1)
	}
	// A segment sealed by a truncation has no index and may hold removed entries.
	if info.IndexStart > 0 && (scan.indexStart != info.IndexStart || scan.lastIndex() < info.MaxIndex) {
		return scan.corrupt(0)
	}
	r.scans[info.ID] = scan
	r.last = info.MaxIndex
	return nil
}

// tail checks the newest segment and tells an unfinished write from damage.
func (r *recovery) tail(info types.SegmentInfo) error {
	path := r.path(info)
	data, err := r.read(path)
	if errors.Is(err, fs.ErrNotExist) {
		if r.watermark >= info.BaseIndex {
			return corrupt(path, -1, info.BaseIndex, "segment file is missing")
		}
		return nil // created in the list, not yet on disk; walSegments creates it
	}
	if err != nil {
		return err
	}
	scan := scanSegment(path, data, info, r.meta.salt, func(index uint64, record []byte) {
		if index >= info.MinIndex {
			r.onEntry(index, viewRecord(record).typ, entryBytes(len(record)-recordHeaderLen, 0))
		}
	})
	rest := data[min(scan.end, int64(len(data))):]
	if n := lastNonZero(rest); n >= 0 {
		r.torn, r.tornUntil = scan, scan.end+n+1
		// A frame header may end with zeros, and so may a frame: they are looked at as a whole.
		until := min(padded(r.tornUntil), int64(len(data)))
		if err := classifyRemains(scan, data[:until], int64(len(data)), r.meta.salt); err != nil {
			return err
		}
	}
	last := scan.lastIndex()
	if last < r.watermark {
		return scan.corrupt(last + 1)
	}
	r.scans[info.ID] = scan
	if len(scan.offsets) > 0 && last >= info.MinIndex {
		r.last = last
	}
	return nil
}

// repair makes the log's files what may be opened: remains of an unfinished write are zeroed, what
// is left of the newest segment is durable (a crash may have come between write and fsync, and a failed
// fsync leaves clean pages in memory that never reached the disk), and a sealed newest segment is
// followed by an empty one.
func (r *recovery) repair() error {
	segs := r.meta.state.Segments
	if len(segs) == 0 {
		return nil
	}
	info := segs[len(segs)-1]
	scan := r.scans[info.ID]
	if scan == nil {
		return nil
	}
	if err := r.rewrite(scan); err != nil {
		return fmt.Errorf("repair %s: %w", scan.path, err)
	}
	if scan.indexStart == 0 {
		return nil
	}
	info.SealTime, info.MaxIndex, info.IndexStart = time.Now(), scan.lastIndex(), scan.indexStart
	next := types.SegmentInfo{
		ID: r.meta.state.NextSegmentID, BaseIndex: info.MaxIndex + 1, MinIndex: info.MaxIndex + 1,
		SizeLimit: info.SizeLimit, Codec: codecID, CreateTime: info.SealTime,
	}
	r.meta.state.NextSegmentID++
	segs[len(segs)-1] = info
	r.meta.state.Segments = append(segs, next)
	return r.meta.CommitState(r.meta.state)
}

// tailData is what the newest segment holds after repair; nil when there is nothing to recover, or when
// repair has put a new segment behind it. The newest segment is the last one read.
func (r *recovery) tailData() []byte {
	segs := r.meta.state.Segments
	if len(segs) == 0 {
		return nil
	}
	scan := r.scans[segs[len(segs)-1].ID]
	if scan == nil || scan.end == 0 {
		return nil
	}
	return r.buf[:scan.end]
}

func (r *recovery) rewrite(scan *segmentScan) (err error) {
	f, err := os.OpenFile(scan.path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if r.torn == scan {
		if _, err := f.WriteAt(make([]byte, r.tornUntil-scan.end), scan.end); err != nil {
			return err
		}
	}
	batch := make([]byte, scan.end-scan.batch)
	if _, err := f.ReadAt(batch, scan.batch); err != nil {
		return err
	}
	if _, err := f.WriteAt(batch, scan.batch); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	return disk.SyncDir(r.dir)
}
