package faultfs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// Available reports whether disks can be mounted here: as root, with FUSE.
func Available() bool {
	f, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0)
	if err != nil {
		return false
	}
	return f.Close() == nil && os.Geteuid() == 0
}

// fsName is what the kernel's list of mounts says of ours; the process id of the
// harness that serves the disk follows.
const fsName = "lockstep-faultfs-"

// Mount is a mounted disk.
type Mount struct {
	dir    string
	server *fuse.Server
}

// MountAt mounts d at dir, which must be an empty directory.
func (d *Disk) MountAt(dir string) (*Mount, error) {
	server, err := fs.Mount(dir, &node{disk: d, in: d.root}, &fs.Options{
		MountOptions: fuse.MountOptions{
			FsName: fmt.Sprint(fsName, os.Getpid()), Name: "faultfs", DirectMountStrict: true, MaxWrite: 1 << 20,
			AllowOther: true,
		},
	})
	if err != nil {
		return nil, fmt.Errorf("mount %s: %w", dir, err)
	}
	return &Mount{dir: dir, server: server}, nil
}

// Unmount takes the disk away. Programs that still have files open lose them.
func (m *Mount) Unmount() error {
	err := m.server.Unmount()
	if err != nil {
		err = syscall.Unmount(m.dir, syscall.MNT_DETACH|syscall.MNT_FORCE)
	}
	if err != nil && !errors.Is(err, syscall.EINVAL) { // it is no mount any more
		return fmt.Errorf("unmount %s: %w", m.dir, err)
	}
	m.server.Wait()
	return nil
}

// node is a file or directory as the kernel knows it.
type node struct {
	fs.Inode
	disk *Disk
	in   *inode
}

var (
	_ fs.NodeLookuper  = (*node)(nil)
	_ fs.NodeGetattrer = (*node)(nil)
	_ fs.NodeSetattrer = (*node)(nil)
	_ fs.NodeReaddirer = (*node)(nil)
	_ fs.NodeCreater   = (*node)(nil)
	_ fs.NodeMkdirer   = (*node)(nil)
	_ fs.NodeUnlinker  = (*node)(nil)
	_ fs.NodeRmdirer   = (*node)(nil)
	_ fs.NodeRenamer   = (*node)(nil)
	_ fs.NodeOpener    = (*node)(nil)
	_ fs.NodeReader    = (*node)(nil)
	_ fs.NodeWriter    = (*node)(nil)
	_ fs.NodeFsyncer   = (*node)(nil)
	_ fs.NodeAllocater = (*node)(nil)
	_ fs.NodeStatfser  = (*node)(nil)
)

func (n *node) fill(in *inode, out *fuse.Attr) {
	mode, size := n.disk.stat(in)
	out.Ino, out.Mode, out.Size, out.Nlink = in.ino, mode, uint64(size), 1
	out.Blocks, out.Blksize = uint64(size+511)/512, pageBytes
}

func (n *node) child(ctx context.Context, in *inode, out *fuse.EntryOut) *fs.Inode {
	n.fill(in, &out.Attr)
	return n.NewInode(ctx, &node{disk: n.disk, in: in}, fs.StableAttr{Mode: out.Attr.Mode & syscall.S_IFMT, Ino: in.ino})
}

// Lookup implements fs.NodeLookuper.
func (n *node) Lookup(ctx context.Context, name string, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	in := n.disk.lookup(n.in, name)
	if in == nil {
		return nil, syscall.ENOENT
	}
	return n.child(ctx, in, out), 0
}

// Getattr implements fs.NodeGetattrer.
func (n *node) Getattr(_ context.Context, _ fs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	n.fill(n.in, &out.Attr)
	return 0
}

// Setattr implements fs.NodeSetattrer.
func (n *node) Setattr(_ context.Context, _ fs.FileHandle, in *fuse.SetAttrIn, out *fuse.AttrOut) syscall.Errno {
	if size, ok := in.GetSize(); ok {
		if n.in.data == nil {
			return syscall.EISDIR
		}
		if errno := n.disk.truncate(n.in, int64(size)); errno != 0 {
			return errno
		}
	}
	if mode, ok := in.GetMode(); ok {
		n.disk.chmod(n.in, mode)
	}
	n.fill(n.in, &out.Attr)
	return 0
}

// Readdir implements fs.NodeReaddirer.
func (n *node) Readdir(context.Context) (fs.DirStream, syscall.Errno) {
	names, nodes := n.disk.list(n.in)
	list := make([]fuse.DirEntry, len(names))
	for i, name := range names {
		mode, _ := n.disk.stat(nodes[i])
		list[i] = fuse.DirEntry{Name: name, Ino: nodes[i].ino, Mode: mode & syscall.S_IFMT}
	}
	return fs.NewListDirStream(list), 0
}

// Create implements fs.NodeCreater.
func (n *node) Create(ctx context.Context, name string, _, mode uint32, out *fuse.EntryOut) (*fs.Inode, fs.FileHandle, uint32, syscall.Errno) {
	in, errno := n.disk.create(n.in, name, false, mode&0o7777)
	if errno != 0 {
		return nil, nil, 0, errno
	}
	return n.child(ctx, in, out), nil, 0, 0
}

// Mkdir implements fs.NodeMkdirer.
func (n *node) Mkdir(ctx context.Context, name string, mode uint32, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	in, errno := n.disk.create(n.in, name, true, mode&0o7777)
	if errno != 0 {
		return nil, errno
	}
	return n.child(ctx, in, out), 0
}

// Unlink implements fs.NodeUnlinker.
func (n *node) Unlink(_ context.Context, name string) syscall.Errno {
	return n.disk.remove(n.in, name, false)
}

// Rmdir implements fs.NodeRmdirer.
func (n *node) Rmdir(_ context.Context, name string) syscall.Errno {
	return n.disk.remove(n.in, name, true)
}

// Rename implements fs.NodeRenamer.
func (n *node) Rename(_ context.Context, name string, parent fs.InodeEmbedder, newName string, flags uint32) syscall.Errno {
	to, ok := parent.(*node)
	if !ok || flags != 0 {
		return syscall.EINVAL
	}
	return n.disk.rename(n.in, name, to.in, newName)
}

// Open implements fs.NodeOpener.
func (n *node) Open(_ context.Context, flags uint32) (fs.FileHandle, uint32, syscall.Errno) {
	if flags&syscall.O_TRUNC != 0 && n.in.data != nil {
		if errno := n.disk.truncate(n.in, 0); errno != 0 {
			return nil, 0, errno
		}
	}
	return nil, fuse.FOPEN_KEEP_CACHE, 0
}

// Read implements fs.NodeReader.
func (n *node) Read(_ context.Context, _ fs.FileHandle, dest []byte, off int64) (fuse.ReadResult, syscall.Errno) {
	return fuse.ReadResultData(dest[:n.disk.read(n.in, dest, off)]), 0
}

// Write implements fs.NodeWriter.
func (n *node) Write(_ context.Context, _ fs.FileHandle, data []byte, off int64) (uint32, syscall.Errno) {
	if errno := n.disk.write(n.in, data, off); errno != 0 {
		return 0, errno
	}
	return uint32(len(data)), 0
}

// Fsync implements fs.NodeFsyncer, for files and directories.
func (n *node) Fsync(ctx context.Context, _ fs.FileHandle, _ uint32) syscall.Errno {
	return n.disk.fsync(n.in, ctx.Done())
}

// Flags of fallocate(2).
const (
	fallocKeepSize = 1
)

// Allocate implements fs.NodeAllocater.
func (n *node) Allocate(_ context.Context, _ fs.FileHandle, off, size uint64, mode uint32) syscall.Errno {
	switch mode {
	case fallocKeepSize:
		return 0
	case 0:
		return n.disk.allocate(n.in, int64(off+size))
	}
	return syscall.EOPNOTSUPP
}

// Statfs implements fs.NodeStatfser.
func (n *node) Statfs(_ context.Context, out *fuse.StatfsOut) syscall.Errno {
	out.Bsize, out.Frsize, out.NameLen = pageBytes, pageBytes, 255
	out.Blocks, out.Bfree, out.Bavail = 1<<24, 1<<23, 1<<23
	return 0
}
