package faultfs

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"go.etcd.io/bbolt"
	"golang.org/x/sys/unix"
)

// mounted calls fn with a mounted disk's directory, or not at all where disks
// cannot be mounted.
func mounted(t *testing.T, d *Disk, fn func(dir string)) {
	t.Helper()
	if !Available() {
		t.Log("no FUSE here: only the disk itself is tested")
		return
	}
	dir := t.TempDir()
	m, err := d.MountAt(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := m.Unmount(); err != nil {
			t.Error(err)
		}
	}()
	fn(dir)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestMountedFiles(t *testing.T) {
	d := NewDisk()
	mounted(t, d, func(dir string) {
		path := filepath.Join(dir, "a", "b")
		must(t, os.MkdirAll(filepath.Dir(path), 0o700))
		f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
		must(t, err)
		must(t, unix.Fallocate(int(f.Fd()), 0, 0, 1<<20))
		_, err = f.WriteAt([]byte("hello"), 1<<19)
		must(t, err)
		must(t, f.Sync())
		must(t, syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB))
		must(t, f.Close())
		must(t, os.Rename(path, path+"2"))
		text, err := os.ReadFile(path + "2")
		must(t, err)
		if len(text) != 1<<20 || !bytes.Equal(text[1<<19:1<<19+5], []byte("hello")) {
			t.Errorf("%d bytes", len(text))
		}
		folder, err := os.Open(filepath.Dir(path))
		must(t, err)
		must(t, folder.Sync())
		must(t, folder.Close())
		if len(d.lookup(d.root, "a").dir.pending) != 0 {
			t.Error("fsync of a directory did not arrive")
		}
		must(t, os.RemoveAll(filepath.Join(dir, "a")))
		d.Set(Trouble{Full: true})
		if err := os.WriteFile(filepath.Join(dir, "c"), nil, 0o600); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("a file on a full disk: %v", err)
		}
		d.Set(Trouble{})
	})
}

// TestBoltSurvivesPowerFailure: bbolt reads through a mapping and syncs as it must. It runs in a
// process of its own: a page fault on a mount that the same process serves holds one of Go's
// processors, and waits for ever once the collector stops the others.
func TestBoltSurvivesPowerFailure(t *testing.T) {
	d := NewDisk()
	inChild := func(what string) func(dir string) {
		return func(dir string) {
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), boltVar+"="+what, boltDirVar+"="+dir)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%s: %v\n%s", what, err, out)
			}
		}
	}
	mounted(t, d, inChild("write"))
	lost := d.PowerOff(newRand(3))
	t.Logf("lost %+v", lost)
	mounted(t, d, inChild("read"))
}

// What the process is to do that a test starts, and where.
const (
	boltVar    = "FAULTFS_TEST_BOLT"
	boltDirVar = "FAULTFS_TEST_DIR"
)

func TestMain(m *testing.M) {
	var err error
	switch dir := os.Getenv(boltDirVar); os.Getenv(boltVar) {
	case "":
		os.Exit(m.Run())
	case "write":
		err = writeBolt(dir)
	case "read":
		err = readBolt(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

const boltKeys = 50

func boltValue(i byte) []byte { return bytes.Repeat([]byte{i}, 3000) }

func writeBolt(dir string) error {
	path := filepath.Join(dir, "db")
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		return err
	}
	folder, err := os.Open(dir)
	if err != nil {
		return err
	}
	if err := errors.Join(folder.Sync(), folder.Close()); err != nil {
		return err
	}
	for i := range byte(boltKeys) {
		err := db.Update(func(tx *bbolt.Tx) error {
			b, err := tx.CreateBucketIfNotExists([]byte("b"))
			if err != nil {
				return err
			}
			return b.Put([]byte{i}, boltValue(i))
		})
		if err != nil {
			return err
		}
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(bytes.Repeat([]byte{0xff}, 4096), 1<<18) // nobody syncs this
	return errors.Join(err, f.Close(), db.Close())
}

func readBolt(dir string) error {
	db, err := bbolt.Open(filepath.Join(dir, "db"), 0o600, nil)
	if err != nil {
		return err
	}
	err = db.View(func(tx *bbolt.Tx) error {
		for i := range byte(boltKeys) {
			if got := tx.Bucket([]byte("b")).Get([]byte{i}); !bytes.Equal(got, boltValue(i)) {
				return fmt.Errorf("key %d has %d bytes, or others", i, len(got))
			}
		}
		return nil
	})
	return errors.Join(err, db.Close())
}
