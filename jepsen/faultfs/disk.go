package faultfs

import (
	"math/rand/v2"
	"sync"
	"syscall"
	"time"
)

// Disk is the state of a file system, mounted or not.
type Disk struct {
	mu      sync.Mutex
	root    *inode
	nextIno uint64
	trouble Trouble
	healed  chan struct{} // closed when the trouble ends
	seen    Seen

	troubledAt time.Time // when the last trouble ended
}

// Trouble is how a disk fails at the moment.
type Trouble struct {
	FsyncFails bool          // EIO, and what was to be written is lost
	FirstPass  int           // so many fsyncs succeed before one fails
	WriteFails bool          // EIO
	Full       bool          // ENOSPC
	FsyncHangs bool          // until the trouble ends
	FsyncDelay time.Duration // each fsync takes longer
}

// troubleEcho is how long a program may take to notice what the disk did.
const troubleEcho = 2 * time.Second

// Troubled reports whether the disk fails, or did a moment ago.
func (d *Disk) Troubled() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.trouble != (Trouble{}) || time.Since(d.troubledAt) < troubleEcho
}

// Seen counts what programs were made to feel.
type Seen struct {
	Failed, Full, Hung, Delayed int
}

// inode is a file or a directory.
type inode struct {
	ino  uint64
	mode uint32
	data *file // nil for a directory
	dir  *directory
}

// directory is the names in a directory.
type directory struct {
	live, durable map[string]*inode
	pending       [][]change // since the last fsync, oldest first
}

// change is one name; a nil node removes it. What is changed in one step is
// durable in one step.
type change struct {
	name string
	node *inode
}

// NewDisk returns an empty disk.
func NewDisk() *Disk {
	d := &Disk{healed: make(chan struct{})}
	d.root = d.newInode(true, 0o700)
	return d
}

func (d *Disk) newInode(dir bool, mode uint32) *inode {
	d.nextIno++
	n := &inode{ino: d.nextIno, mode: mode}
	if dir {
		n.dir = &directory{live: map[string]*inode{}, durable: map[string]*inode{}}
	} else {
		n.data = newFile()
	}
	return n
}

// Set changes how the disk fails. The zero Trouble heals it.
func (d *Disk) Set(t Trouble) {
	d.mu.Lock()
	defer d.mu.Unlock()
	close(d.healed) // who hangs looks again
	d.healed = make(chan struct{})
	if d.trouble != (Trouble{}) {
		d.troubledAt = time.Now()
	}
	d.trouble = t
}

// Seen returns what programs were made to feel since the last call.
func (d *Disk) Seen() Seen {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.seen
	d.seen = Seen{}
	return s
}

// Lost is what a power failure took away.
type Lost struct {
	Pages, Torn, Names int
}

// Nothing reports whether all had been made durable.
func (l Lost) Nothing() bool { return l.Pages == 0 && l.Names == 0 }

// PowerOff makes the disk what a power failure leaves. No program may have it open.
func (d *Disk) PowerOff(rng *rand.Rand) Lost {
	d.mu.Lock()
	defer d.mu.Unlock()
	var lost Lost
	d.root.powerOff(rng, &lost, map[*inode]bool{})
	return lost
}

func (n *inode) powerOff(rng *rand.Rand, lost *Lost, done map[*inode]bool) {
	if done[n] {
		return
	}
	done[n] = true
	if n.data != nil {
		pages, torn := n.data.powerOff(rng)
		lost.Pages += pages
		lost.Torn += torn
		return
	}
	dir := n.dir
	kept := 0
	if len(dir.pending) > 0 {
		kept = rng.IntN(len(dir.pending) + 1)
		lost.Names += len(dir.pending) - kept
	}
	for _, step := range dir.pending[:kept] {
		apply(dir.durable, step)
	}
	dir.pending = nil
	clear(dir.live)
	for _, name := range sortedNames(dir.durable) {
		dir.live[name] = dir.durable[name]
		dir.durable[name].powerOff(rng, lost, done)
	}
}

func apply(names map[string]*inode, step []change) {
	for _, c := range step {
		if c.node == nil {
			delete(names, c.name)
		} else {
			names[c.name] = c.node
		}
	}
}

// Clear empties the disk, durably. No program may have it open.
func (d *Disk) Clear() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.root = d.newInode(true, 0o700)
}

// update changes names of a directory.
func (dir *directory) update(step ...change) {
	apply(dir.live, step)
	dir.pending = append(dir.pending, step)
}

func (dir *directory) sync() {
	for _, step := range dir.pending {
		apply(dir.durable, step)
	}
	dir.pending = nil
}

// fail returns the error that a write has to meet, if any; d.mu is held.
func (d *Disk) fail() syscall.Errno {
	switch {
	case d.trouble.Full:
		d.seen.Full++
		return syscall.ENOSPC
	case d.trouble.WriteFails:
		d.seen.Failed++
		return syscall.EIO
	}
	return 0
}

// fsync brings n to the disk. cancel ends the wait of one that hangs.
func (d *Disk) fsync(n *inode, cancel <-chan struct{}) syscall.Errno {
	d.mu.Lock()
	defer d.mu.Unlock()
	for d.trouble.FsyncHangs {
		d.seen.Hung++
		if !d.pause(d.healed, nil, cancel) {
			return syscall.EINTR
		}
	}
	if delay := d.trouble.FsyncDelay; delay > 0 {
		d.seen.Delayed++
		timer := time.NewTimer(delay)
		defer timer.Stop()
		if !d.pause(d.healed, timer.C, cancel) {
			return syscall.EINTR
		}
	}
	if d.trouble.FsyncFails && d.trouble.FirstPass == 0 {
		d.seen.Failed++
		if n.data != nil {
			n.data.failSync()
		}
		return syscall.EIO
	}
	if d.trouble.FsyncFails {
		d.trouble.FirstPass--
	}
	if n.data != nil {
		n.data.sync()
	} else {
		n.dir.sync()
	}
	return 0
}

// pause lets go of the disk for a while. False: cancelled.
func (d *Disk) pause(healed <-chan struct{}, over <-chan time.Time, cancel <-chan struct{}) bool {
	d.mu.Unlock()
	defer d.mu.Lock()
	select {
	case <-healed:
	case <-over:
	case <-cancel:
		return false
	}
	return true
}
