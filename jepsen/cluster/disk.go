package cluster

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"

	"github.com/lockstepkv/lockstep/jepsen/faultfs"
)

// ErrNoDisks: faults of disks take root and FUSE.
var ErrNoDisks = errors.New("disks that fail take root and /dev/fuse")

// CanFailDisks reports whether nodes can have disks that fail.
func CanFailDisks() bool { return faultfs.Available() }

// mountDisk puts the node's data on a disk of the harness.
func (n *Node) mountDisk() error {
	if err := os.MkdirAll(n.DataDir, 0o700); err != nil {
		return err
	}
	n.Disk = faultfs.NewDisk()
	return n.remount(func() {})
}

// remount changes the disk while it is away.
func (n *Node) remount(change func()) error {
	if n.mount != nil {
		if err := n.mount.Unmount(); err != nil {
			return err
		}
		n.mount = nil
	}
	change()
	var err error
	n.mount, err = n.Disk.MountAt(n.DataDir)
	return err
}

// PowerOff makes the node's disk what a power failure leaves of it. The node must
// be down.
func (n *Node) PowerOff(rng *rand.Rand) (lost faultfs.Lost, err error) {
	if s := n.State(); s != Down {
		return lost, fmt.Errorf("power failure of %s: it is %s", n.ID, s)
	}
	return lost, n.remount(func() { lost = n.Disk.PowerOff(rng) })
}

// unmount takes the disk away for good.
func (n *Node) unmount() error {
	if n.mount == nil {
		return nil
	}
	n.Disk.Set(faultfs.Trouble{})
	return n.mount.Unmount()
}
