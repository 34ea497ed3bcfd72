package raftlog

import (
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"

	walfs "github.com/hashicorp/raft-wal/fs"
	"github.com/hashicorp/raft-wal/segment"
	"github.com/hashicorp/raft-wal/types"

	"github.com/lockstepkv/lockstep/internal/disk"
	"github.com/lockstepkv/lockstep/internal/failpoint"
	"github.com/lockstepkv/lockstep/internal/mutant"
)

// walFiles implements raft-wal's types.SegmentFiler around its own one, which keeps writing the
// segments. What differs: reads verify frame and record; a sealed segment is read by the offsets found
// when the log was opened, so that a damaged index, or none (raft-wal v0.4.0 writes none when a
// truncation seals a segment), does not matter; and a rotation under way can be waited for.
type walFiles struct {
	*segment.Filer
	dir  string
	salt uint32
	vfs  *walVFS
	bufs sync.Pool // *[]byte of readChunk bytes
	// scans is what recovery found, by segment id; used while raft-wal opens.
	scans map[uint64]*segmentScan

	mu       sync.Mutex
	rotating chan struct{} // closed when the rotation is over; nil when there is none
	failure  error         // why a rotation failed
}

// readChunk is how much one read fetches before the size of the entry is known.
const readChunk = 8 << 10

func newWALFiles(o Options, salt uint32, scans map[uint64]*segmentScan) *walFiles {
	vfs := &walVFS{FS: walfs.New(), free: o.Free}
	f := &walFiles{Filer: segment.NewFiler(o.Dir, vfs), dir: o.Dir, salt: salt, vfs: vfs, scans: scans}
	f.bufs.New = func() any { b := make([]byte, readChunk); return &b }
	return f
}

// Create implements types.SegmentFiler. It is the last step of a rotation.
func (f *walFiles) Create(info types.SegmentInfo) (types.SegmentWriter, error) {
	info.Codec = codecID // see CommitState
	err := failpoint.Inject("raftlog/create")
	var w types.SegmentWriter
	if err == nil {
		w, err = f.Filer.Create(info)
	}
	f.rotated(err)
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

// sealing notes that the background rotation has begun.
func (f *walFiles) sealing() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.rotating == nil {
		f.rotating = make(chan struct{})
	}
}

// rotated notes that it is over.
func (f *walFiles) rotated(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err != nil && f.failure == nil {
		f.failure = err
	}
	if f.rotating != nil {
		close(f.rotating)
		f.rotating = nil
	}
}

// awaitRotation waits for a rotation under way. raft-wal v0.4.0 must not get a truncation before the
// rotation it has scheduled: the rotation would then seal the wrong segment.
func (f *walFiles) awaitRotation() error {
	f.mu.Lock()
	rotating := f.rotating
	f.mu.Unlock()
	if rotating != nil {
		<-rotating
	}
	return f.failed()
}

func (f *walFiles) failed() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.failure
}

// tailSegment is the segment being written; it stays its reader after it is sealed.
type tailSegment struct {
	types.SegmentWriter
	files  *walFiles
	file   io.ReaderAt
	path   string
	offset func(index uint64) (uint32, error)
}

// Sealed implements types.SegmentWriter; raft-wal asks after each append and schedules the rotation.
func (t *tailSegment) Sealed() (bool, uint64, error) {
	sealed, start, err := t.SegmentWriter.Sealed()
	if sealed {
		t.files.sealing()
	}
	return sealed, start, err
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

// walVFS is raft-wal's file system with failpoints. last is the file handed out most recently; the
// filer takes it at once and in one goroutine.
type walVFS struct {
	*walfs.FS
	free func() (int64, error)
	last types.WritableFile
	// tail is what the newest segment holds while raft-wal recovers it: raft-wal reads frame by frame,
	// one system call each, what was just read as a whole.
	tail []byte
}

// recoveringFile serves reads from memory until its data is taken away.
type recoveringFile struct {
	types.WritableFile
	data []byte
}

func (f *recoveringFile) ReadAt(b []byte, off int64) (int, error) {
	if f.data == nil {
		return f.WritableFile.ReadAt(b, off)
	}
	if off >= int64(len(f.data)) {
		return 0, io.EOF
	}
	n := copy(b, f.data[off:])
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

// endRecovery makes the recovered file an ordinary one.
func (v *walVFS) endRecovery() {
	v.tail = nil
	if f, ok := v.last.(*recoveringFile); ok {
		f.data = nil
		v.last = f.WritableFile
	}
}

// Create makes a segment. Where a disk is nearly full a whole one would be the last thing that has
// room, so it takes less in advance, or nothing, and grows.
func (v *walVFS) Create(dir, name string, size uint64) (types.WritableFile, error) {
	if free, err := v.free(); err == nil {
		size = min(size, uint64(free)/4)
	}
	f, err := v.FS.Create(dir, name, size)
	if disk.IsFull(err) && size > 0 {
		if err = os.Remove(filepath.Join(dir, name)); err == nil {
			f, err = v.FS.Create(dir, name, 0)
		}
	}
	return v.wrap(f), err
}

func (v *walVFS) OpenWriter(dir, name string) (types.WritableFile, error) {
	f, err := v.FS.OpenWriter(dir, name)
	if err != nil || v.tail == nil {
		return v.wrap(f), err
	}
	v.last = &recoveringFile{WritableFile: v.wrap(f), data: v.tail}
	return v.last, nil
}

func (v *walVFS) wrap(f types.WritableFile) types.WritableFile {
	if failpoint.Enabled {
		f = faultyFile{f}
	}
	if mutant.On(mutant.FsyncSkipped) || mutant.On(mutant.FsyncErrorIgnored) {
		f = carelessFile{f}
	}
	v.last = f
	return f
}

// carelessFile is the bug of two mutants.
type carelessFile struct{ types.WritableFile }

func (f carelessFile) Sync() error {
	if mutant.On(mutant.FsyncErrorIgnored) {
		_ = f.WritableFile.Sync()
	}
	return nil
}

// faultyFile lets tests fail a write, write half of it, or fail the fsync.
type faultyFile struct{ types.WritableFile }

func (f faultyFile) WriteAt(b []byte, off int64) (int, error) {
	if err := failpoint.Inject("raftlog/write"); err != nil {
		n, _ := f.WritableFile.WriteAt(b[:len(b)/2], off)
		return n, err
	}
	return f.WritableFile.WriteAt(b, off)
}

func (f faultyFile) Sync() error {
	if err := failpoint.Inject("raftlog/sync"); err != nil {
		return err
	}
	return f.WritableFile.Sync()
}
