package faultfs

import (
	"bytes"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func newRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 1)) }

func contents(d *Disk, n *inode) []byte {
	b := make([]byte, n.data.size)
	return b[:d.read(n, b, 0)]
}

// TestSyncedBytesSurvive compares a file with a plain one: after a power failure
// every sector has either what was synced or what was written since.
func TestSyncedBytesSurvive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := NewDisk()
		n, _ := d.create(d.root, "f", false, 0o600)
		if d.fsync(d.root, nil) != 0 {
			t.Fatal("fsync of the directory failed")
		}
		var now, synced []byte
		touched := map[int]bool{} // sectors written since the fsync
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			switch rapid.IntRange(0, 4).Draw(t, "op") {
			case 0, 1, 2:
				off := rapid.IntRange(0, 5*pageBytes).Draw(t, "off")
				data := bytes.Repeat([]byte{byte(rapid.IntRange(1, 255).Draw(t, "byte"))}, rapid.IntRange(1, 2*pageBytes).Draw(t, "len"))
				d.write(n, data, int64(off))
				if grown := off + len(data) - len(now); grown > 0 {
					now = append(now, make([]byte, grown)...)
				}
				copy(now[off:], data)
				for i := off / pageBytes; i <= (off+len(data)-1)/pageBytes; i++ {
					touched[i] = true
				}
			case 3:
				size := rapid.IntRange(0, 6*pageBytes).Draw(t, "size")
				for i := min(size, len(now)) / pageBytes; i <= max(size, len(now))/pageBytes; i++ {
					touched[i] = true
				}
				d.truncate(n, int64(size))
				if size <= len(now) {
					now = now[:size:size]
				} else {
					now = append(now, make([]byte, size-len(now))...)
				}
			case 4:
				d.fsync(n, nil)
				synced, touched = bytes.Clone(now), map[int]bool{}
			}
			if !bytes.Equal(contents(d, n), now) {
				t.Fatal("the file is not what was written")
			}
		}
		d.PowerOff(newRand(rapid.Uint64().Draw(t, "seed")))
		got := contents(d, n)
		if len(got) != len(now) && len(got) != len(synced) {
			t.Fatalf("%d bytes, want %d or %d", len(got), len(now), len(synced))
		}
		for i := 0; i < len(got); i += sectorBytes {
			sector := got[i:min(i+sectorBytes, len(got))]
			if old := at(synced, i, len(sector)); bytes.Equal(sector, old) {
				continue
			}
			if !touched[i/pageBytes] {
				t.Fatalf("the sector at %d was synced and is lost", i)
			}
		}
	})
}

// at is b[i:i+n], with zeros behind the end.
func at(b []byte, i, n int) []byte {
	out := make([]byte, n)
	if i < len(b) {
		copy(out, b[i:])
	}
	return out
}

func TestUnsyncedBytesAreLostAndTorn(t *testing.T) {
	var all Lost
	for seed := range uint64(20) {
		d := NewDisk()
		n, _ := d.create(d.root, "f", false, 0o600)
		d.fsync(d.root, nil)
		d.write(n, bytes.Repeat([]byte{1}, 4*pageBytes), 0)
		d.fsync(n, nil)
		d.write(n, bytes.Repeat([]byte{2}, 4*pageBytes), 0)
		lost := d.PowerOff(newRand(seed))
		all.Pages, all.Torn = all.Pages+lost.Pages, all.Torn+lost.Torn
		if again := d.PowerOff(newRand(seed)); !again.Nothing() {
			t.Errorf("a second failure took %+v", again)
		}
	}
	if all.Pages < 30 || all.Torn < 10 || all.Pages == 80 {
		t.Errorf("of 80 pages %+v", all)
	}
}

func TestNamesFollowTheirDirectory(t *testing.T) {
	kept := map[string]int{}
	for seed := range uint64(40) {
		d := NewDisk()
		sub, _ := d.create(d.root, "sub", true, 0o700)
		d.fsync(d.root, nil)
		d.create(sub, "synced", false, 0o600)
		d.fsync(sub, nil)
		d.create(sub, "first", false, 0o600)
		d.rename(sub, "first", sub, "second")
		d.remove(sub, "synced", false)
		d.PowerOff(newRand(seed))
		names, _ := d.list(d.lookup(d.root, "sub"))
		kept[join(names)]++
	}
	for _, want := range []string{"synced", "first synced", "second synced", "second"} {
		if kept[want] == 0 {
			t.Errorf("never %q", want)
		}
		delete(kept, want)
	}
	if len(kept) > 0 {
		t.Errorf("impossible directories: %v", kept)
	}
}

func join(names []string) string {
	var b bytes.Buffer
	for i, n := range names {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(n)
	}
	return b.String()
}

func TestFailedFsyncLosesItsPages(t *testing.T) {
	d := NewDisk()
	n, _ := d.create(d.root, "f", false, 0o600)
	d.fsync(d.root, nil)
	d.write(n, []byte("old"), 0)
	d.fsync(n, nil)
	d.write(n, []byte("new"), 0)
	d.Set(Trouble{FsyncFails: true})
	if errno := d.fsync(n, nil); errno != syscall.EIO {
		t.Fatalf("fsync: %v", errno)
	}
	d.Set(Trouble{})
	if errno := d.fsync(n, nil); errno != 0 {
		t.Fatalf("the error is reported twice: %v", errno)
	}
	if got := string(contents(d, n)); got != "new" {
		t.Errorf("%q can be read", got)
	}
	d.PowerOff(newRand(1))
	if got := string(contents(d, n)); got != "old" {
		t.Errorf("%q is on the disk", got)
	}
	d.write(n, []byte("new"), 0)
	d.fsync(n, nil)
	d.PowerOff(newRand(1))
	if got := string(contents(d, n)); got != "new" || d.Seen().Failed != 1 {
		t.Errorf("written again, %q is on the disk", got)
	}
}

func TestTrouble(t *testing.T) {
	d := NewDisk()
	n, _ := d.create(d.root, "f", false, 0o600)
	d.Set(Trouble{Full: true})
	if errno := d.write(n, []byte("x"), 0); errno != syscall.ENOSPC {
		t.Errorf("write on a full disk: %v", errno)
	}
	d.Set(Trouble{WriteFails: true})
	if errno := d.write(n, []byte("x"), 0); errno != syscall.EIO {
		t.Errorf("write on a failing disk: %v", errno)
	}
	d.Set(Trouble{FsyncHangs: true})
	cancel, done := make(chan struct{}), make(chan syscall.Errno, 2)
	go func() { done <- d.fsync(n, cancel) }()
	go func() { done <- d.fsync(n, nil) }()
	close(cancel)
	if errno := <-done; errno != syscall.EINTR {
		t.Errorf("the interrupted fsync: %v", errno)
	}
	d.Set(Trouble{FsyncDelay: time.Millisecond})
	if errno := <-done; errno != 0 {
		t.Errorf("the fsync that waited: %v", errno)
	}
	if s := d.Seen(); s.Full != 1 || s.Failed != 1 || s.Hung < 2 {
		t.Errorf("seen %+v", s)
	}
}
