package raftlog

import (
	"io"
	"os"
	"path/filepath"
	"sync/atomic"

	"github.com/hashicorp/raft-wal/types"

	"github.com/lockstepkv/lockstep/internal/disk"
	"github.com/lockstepkv/lockstep/internal/failpoint"
)

// walVFS implements types.VFS: the files of segments on disk, with failpoints. raft-wal's own one takes
// etcd 3.3 into the program, for a single call of fallocate.
type walVFS struct {
	free func() (int64, error)
	// last is the file handed out most recently; the filer takes it at once and in one goroutine.
	last types.WritableFile
	// tail is what the newest segment holds while it is recovered: raft-wal reads frame by frame, one system
	// call each, what was just read as a whole.
	tail []byte
}

// newFile is a file whose name is not durable yet: its first Sync syncs the directory too.
type newFile struct {
	*os.File
	dir   string
	named atomic.Bool
}

func (f *newFile) Sync() error {
	if err := f.File.Sync(); err != nil || f.named.Load() {
		return err
	}
	if err := disk.SyncDir(f.dir); err != nil {
		return err
	}
	f.named.Store(true)
	return nil
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

// ListDir implements types.VFS.
func (v *walVFS) ListDir(dir string) ([]string, error) {
	files, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, f := range files {
		if !f.IsDir() {
			names = append(names, f.Name())
		}
	}
	return names, nil
}

// Create implements types.VFS. Where a disk is nearly full a whole segment would be the last thing that has
// room, so it takes less in advance, or nothing, and grows.
func (v *walVFS) Create(dir, name string, size uint64) (types.WritableFile, error) {
	if free, err := v.free(); err == nil {
		size = min(size, uint64(free)/4)
	}
	path := filepath.Join(dir, name)
	f, err := createSegment(path, int64(size))
	if disk.IsFull(err) && size > 0 {
		f, err = createSegment(path, 0)
	}
	if err != nil {
		return nil, err
	}
	return v.wrap(&newFile{File: f, dir: dir}), nil
}

// createSegment makes a file and takes its room. It leaves none behind if it fails.
func createSegment(path string, size int64) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil || size == 0 {
		return f, err
	}
	if err := disk.Preallocate(f, size); err != nil {
		_ = f.Close() // nothing was written
		_ = os.Remove(path)
		return nil, err
	}
	return f, nil
}

// Delete implements types.VFS.
func (v *walVFS) Delete(dir, name string) error {
	if err := os.Remove(filepath.Join(dir, name)); err != nil {
		return err
	}
	return disk.SyncDir(dir)
}

// OpenReader implements types.VFS.
func (v *walVFS) OpenReader(dir, name string) (types.ReadableFile, error) {
	return os.Open(filepath.Join(dir, name))
}

// OpenWriter implements types.VFS. The name is durable: repair has synced the directory.
func (v *walVFS) OpenWriter(dir, name string) (types.WritableFile, error) {
	f, err := os.OpenFile(filepath.Join(dir, name), os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	w := v.wrap(f)
	if v.tail != nil {
		v.last = &recoveringFile{WritableFile: w, data: v.tail}
	}
	return v.last, nil
}

func (v *walVFS) wrap(f types.WritableFile) types.WritableFile {
	if failpoint.Enabled {
		f = faultyFile{f}
	}
	v.last = f
	return f
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
