package disk_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/lockstepkv/lockstep/internal/disk"
)

func TestMkdirAll(t *testing.T) {
	root := t.TempDir()
	dir := filepath.Join(root, "a", "b", "c")
	for range 2 { // the second time it is there
		if err := disk.MkdirAll(dir+"/", 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if info, err := os.Stat(dir); err != nil || !info.IsDir() || info.Mode().Perm() != 0o700 {
		t.Fatalf("got %v, %v", info, err)
	}
	file := filepath.Join(root, "file")
	if err := disk.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{file, filepath.Join(file, "below")} {
		if err := disk.MkdirAll(bad, 0o700); err == nil {
			t.Errorf("MkdirAll(%s) made a directory of a file", bad)
		}
	}
}

func TestWriteFileReplaces(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	for _, want := range []string{"longer than the next", "short"} {
		if err := disk.WriteFile(path, []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != want {
			t.Fatalf("got %q, %v; want %q", got, err, want)
		}
	}
	if left, _ := filepath.Glob(path + ".*"); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestPreallocateTakesRoom(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "f"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := disk.Preallocate(f, 1<<20); err != nil {
		t.Fatal(err)
	}
	info, err := f.Stat()
	if err != nil || info.Size() != 1<<20 {
		t.Fatalf("%v, %v", info, err)
	}
	if err := disk.Preallocate(f, 1<<60); err == nil {
		t.Error("an exabyte of room was given")
	}
}
