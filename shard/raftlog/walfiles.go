package raftlog

import (
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"

	"github.com/hashicorp/raft-wal/segment"
	"github.com/hashicorp/raft-wal/types"

	"github.com/lockstepkv/lockstep/internal/failpoint"
)

// walFiles implements raft-wal's types.SegmentFiler around its own one, which keeps writing the
// segments. What differs: reads verify frame and record, and a sealed segment is read by the offsets found
// when the log was opened, so that a damaged index, or none (a truncation seals without one), does not matter.
type walFiles struct {
	*segment.Filer
	dir  string
	salt uint32
	vfs  *walVFS
	bufs sync.Pool // *[]byte of readChunk bytes
	// scans is what recovery found, by segment id; used while the segments are opened.
	scans map[uint64]*segmentScan
}

// readChunk is how much one read fetches before the size of the entry is known.
const readChunk = 8 << 10

func newWALFiles(o Options, salt uint32, scans map[uint64]*segmentScan) *walFiles {
	vfs := &walVFS{free: o.Free}
	f := &walFiles{Filer: segment.NewFiler(o.Dir, vfs), dir: o.Dir, salt: salt, vfs: vfs, scans: scans}
	f.bufs.New = func() any { b := make([]byte, readChunk); return &b }
	return f
}

// Create implements types.SegmentFiler.
func (f *walFiles) Create(info types.SegmentInfo) (types.SegmentWriter, error) {
	if err := failpoint.Inject("raftlog/create"); err != nil {
		return nil, err
	}
	w, err := f.Filer.Create(info)
	if err != nil {
		return nil, err
	}
	return f.tail(info, w), nil
}

// RecoverTail implements types.SegmentFiler.
func (f *walFiles) RecoverTail(info types.SegmentInfo) (types.SegmentWriter, error) {
	w, err := f.Filer.RecoverTail(info)
	f.vfs.endRecovery()
	if err != nil {
		return nil, err
	}
	if scan := f.scans[info.ID]; scan != nil && len(scan.offsets) > 0 && w.LastIndex() != scan.lastIndex() {
		err := corrupt(scan.path, scan.end, scan.lastIndex(), "recovered up to entry %d only", w.LastIndex())
		return nil, errors.Join(err, w.Close())
	}
	return f.tail(info, w), nil
}

func (f *walFiles) tail(info types.SegmentInfo, w types.SegmentWriter) types.SegmentWriter {
	return &tailSegment{
		SegmentWriter: w, files: f, file: f.vfs.last,
		path:   filepath.Join(f.dir, segment.FileName(info)),
		offset: w.(interface{ OffsetForFrame(uint64) (uint32, error) }).OffsetForFrame,
	}
}

// Open implements types.SegmentFiler for sealed segments; recovery has scanned them all.
func (f *walFiles) Open(info types.SegmentInfo) (types.SegmentReader, error) {
	path := filepath.Join(f.dir, segment.FileName(info))
	scan := f.scans[info.ID]
	if scan == nil {
		return nil, corrupt(path, -1, 0, "segment was not scanned")
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	keep := append([]uint32(nil), scan.offsets[:info.MaxIndex-info.BaseIndex+1]...)
	return &sealedSegment{files: f, file: file, path: path, base: info.BaseIndex, offsets: keep}, nil
}

// tailSegment is the segment being written; it stays its reader after it is sealed.
type tailSegment struct {
	types.SegmentWriter
	files  *walFiles
	file   io.ReaderAt
	path   string
	offset func(index uint64) (uint32, error)
}

// GetLog implements types.SegmentReader.
func (t *tailSegment) GetLog(index uint64) (*types.PooledBuffer, error) {
	offset, err := t.offset(index)
	if err != nil {
		return nil, err
	}
	return t.files.readEntry(t.file, t.path, int64(offset), index)
}

// sealedSegment reads a segment that was sealed before the log was opened.
type sealedSegment struct {
	files   *walFiles
	file    *os.File
	path    string
	base    uint64
	offsets []uint32
}

// GetLog implements types.SegmentReader.
func (s *sealedSegment) GetLog(index uint64) (*types.PooledBuffer, error) {
	if index < s.base || index-s.base >= uint64(len(s.offsets)) {
		return nil, types.ErrNotFound
	}
	return s.files.readEntry(s.file, s.path, int64(s.offsets[index-s.base]), index)
}

// Close implements io.Closer.
func (s *sealedSegment) Close() error { return s.file.Close() }

// readEntry reads and verifies the record of one entry frame.
func (f *walFiles) readEntry(r io.ReaderAt, path string, offset int64, index uint64) (*types.PooledBuffer, error) {
	pooled := f.bufs.Get().(*[]byte)
	out := &types.PooledBuffer{CloseFn: func() { f.bufs.Put(pooled) }}
	n, err := r.ReadAt(*pooled, offset)
	if err != nil && !errors.Is(err, io.EOF) {
		_ = out.Close()
		return nil, err
	}
	b := (*pooled)[:n]
	if n < frameLen || b[0] != segment.FrameEntry || b[1]|b[2]|b[3] != 0 {
		_ = out.Close()
		return nil, corrupt(path, offset, index, "no entry frame")
	}
	size := int64(binary.LittleEndian.Uint32(b[4:]))
	if frameLen+size <= int64(n) {
		out.Bs = b[frameLen : frameLen+size]
	} else {
		_ = out.Close()
		if size > segment.MaxEntrySize {
			return nil, corrupt(path, offset, index, "entry frame of %d bytes", size)
		}
		out = &types.PooledBuffer{Bs: make([]byte, size)}
		switch n, err := r.ReadAt(out.Bs, offset+frameLen); {
		case n == len(out.Bs):
		case errors.Is(err, io.EOF):
			return nil, corrupt(path, offset, index, "file ends within the entry")
		default:
			return nil, err
		}
	}
	v, err := verifyRecord(out.Bs, f.salt)
	if err == nil && v.index != index {
		err = errors.New("another entry's record")
	}
	if err != nil {
		_ = out.Close()
		return nil, &CorruptError{File: path, Offset: offset, Index: index, Err: err}
	}
	return out, nil
}
