package e2e

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Confine bounds the memory of a node that runs, as an operator would, with a control
// group of its own: the system ends a process that takes more. It reports false where
// that needs rights that the test does not have.
func (n *Node) Confine(t testing.TB, bytes int64) bool {
	t.Helper()
	dir := filepath.Join("/sys/fs/cgroup/memory", fmt.Sprintf("lockstep-%d-%s-%d", os.Getpid(), n.ID, n.pid()))
	limit := "memory.limit_in_bytes"
	if _, err := os.Stat("/sys/fs/cgroup/memory"); errors.Is(err, fs.ErrNotExist) {
		dir, limit = strings.Replace(dir, "/memory", "", 1), "memory.max"
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Logf("no control group for %s: %v", n.ID, err)
		return false
	}
	n.t.Cleanup(func() {
		n.Kill()
		Eventually(n.t, 5*time.Second, func() error { return os.Remove(dir) }) // the system clears the process away first
	})
	for _, w := range []struct{ file, text string }{{limit, strconv.FormatInt(bytes, 10)}, {"cgroup.procs", strconv.Itoa(n.pid())}} {
		if err := os.WriteFile(filepath.Join(dir, w.file), []byte(w.text), 0); err != nil {
			t.Logf("no control group for %s: %v", n.ID, err)
			return false
		}
	}
	return true
}

func (n *Node) pid() int { return n.process().cmd.Process.Pid }

// PeakMemory is the most resident memory since the last call, or since the start.
func (n *Node) PeakMemory(t testing.TB) int64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", n.pid()))
	if err != nil {
		return 0 // it has ended
	}
	_, rest, alive := strings.Cut(string(text), "VmHWM:")
	if !alive {
		return 0
	}
	var kib int64
	if _, err := fmt.Sscan(rest, &kib); err != nil {
		t.Fatalf("%s: %v in %s", n.ID, err, text)
	}
	err = os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", n.pid()), []byte("5"), 0)
	if err != nil && !errors.Is(err, fs.ErrPermission) && !errors.Is(err, syscall.ESRCH) && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return kib << 10
}
