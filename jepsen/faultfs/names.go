package faultfs

import (
	"maps"
	"slices"
	"syscall"
)

func sortedNames(names map[string]*inode) []string { return slices.Sorted(maps.Keys(names)) }

// What follows is what a mounted file system asks of its disk.

func (d *Disk) lookup(dir *inode, name string) *inode {
	d.mu.Lock()
	defer d.mu.Unlock()
	return dir.dir.live[name]
}

func (d *Disk) list(dir *inode) (names []string, nodes []*inode) {
	d.mu.Lock()
	defer d.mu.Unlock()
	names = sortedNames(dir.dir.live)
	for _, name := range names {
		nodes = append(nodes, dir.dir.live[name])
	}
	return names, nodes
}

func (d *Disk) create(parent *inode, name string, dir bool, mode uint32) (*inode, syscall.Errno) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if parent.dir.live[name] != nil {
		return nil, syscall.EEXIST
	}
	if errno := d.fail(); errno != 0 {
		return nil, errno
	}
	n := d.newInode(dir, mode)
	parent.dir.update(change{name, n})
	return n, 0
}

func (d *Disk) remove(parent *inode, name string, dir bool) syscall.Errno {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := parent.dir.live[name]
	switch {
	case n == nil:
		return syscall.ENOENT
	case dir && n.dir == nil:
		return syscall.ENOTDIR
	case !dir && n.dir != nil:
		return syscall.EISDIR
	case dir && len(n.dir.live) > 0:
		return syscall.ENOTEMPTY
	}
	parent.dir.update(change{name, nil})
	return 0
}

func (d *Disk) rename(from *inode, name string, to *inode, newName string) syscall.Errno {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := from.dir.live[name]
	if n == nil {
		return syscall.ENOENT
	}
	if old := to.dir.live[newName]; old != nil && old.dir != nil && len(old.dir.live) > 0 {
		return syscall.ENOTEMPTY
	}
	if from == to {
		from.dir.update(change{name, nil}, change{newName, n})
		return 0
	}
	from.dir.update(change{name, nil})
	to.dir.update(change{newName, n})
	from.dir.sync()
	to.dir.sync()
	return 0
}

func (d *Disk) write(n *inode, data []byte, off int64) syscall.Errno {
	d.mu.Lock()
	defer d.mu.Unlock()
	if errno := d.fail(); errno != 0 {
		return errno
	}
	n.data.write(data, off)
	return 0
}

func (d *Disk) read(n *inode, dest []byte, off int64) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return n.data.read(dest, off)
}

func (d *Disk) truncate(n *inode, size int64) syscall.Errno {
	d.mu.Lock()
	defer d.mu.Unlock()
	if size > n.data.size {
		if errno := d.fail(); errno != 0 {
			return errno
		}
	}
	n.data.truncate(size)
	return 0
}

// allocate is fallocate without FALLOC_FL_KEEP_SIZE.
func (d *Disk) allocate(n *inode, end int64) syscall.Errno {
	d.mu.Lock()
	defer d.mu.Unlock()
	if errno := d.fail(); errno != 0 {
		return errno
	}
	n.data.size = max(n.data.size, end)
	return 0
}

// stat returns type and permissions, and the size.
func (d *Disk) stat(n *inode) (mode uint32, size int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if n.dir != nil {
		return syscall.S_IFDIR | n.mode, 0
	}
	return syscall.S_IFREG | n.mode, n.data.size
}

func (d *Disk) chmod(n *inode, mode uint32) {
	d.mu.Lock()
	defer d.mu.Unlock()
	n.mode = mode & 0o7777
}
