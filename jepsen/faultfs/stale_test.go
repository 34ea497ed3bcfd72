package faultfs

import (
	"maps"
	"os"
	"path/filepath"
	"testing"
)

func TestMountsOf(t *testing.T) {
	list := "proc /proc proc rw 0 0\n" +
		"lockstep-faultfs-12 /tmp/a/data/n1 fuse.faultfs rw,nosuid 0 0\n" +
		"lockstep-faultfs-34 /tmp/with\\040space/n2 fuse.faultfs rw 0 0\n" +
		"other /tmp/b fuse.other rw 0 0\n"
	if got, want := mountsOf(list), map[string]int{"/tmp/a/data/n1": 12, "/tmp/with space/n2": 34}; !maps.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// A disk that is in use stays.
func TestRemoveStaleLeavesWhatIsServed(t *testing.T) {
	mounted(t, NewDisk(), func(dir string) {
		must(t, RemoveStale())
		must(t, os.WriteFile(filepath.Join(dir, "file"), []byte("x"), 0o600))
		text, err := os.ReadFile("/proc/mounts")
		if err != nil || mountsOf(string(text))[dir] != os.Getpid() {
			t.Errorf("%s is no mount any more: %v", dir, err)
		}
	})
}
