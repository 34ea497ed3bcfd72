package e2e

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/lockstepkv/lockstep/internal/procs"
)

// Confine bounds the memory of a node that runs, as an operator would, with a control
// group of its own: the system ends a process that takes more. It reports false where
// that needs rights that the test does not have.
func (n *Node) Confine(t testing.TB, bytes int64) bool {
	t.Helper()
	release, err := procs.Confine(n.pid(), n.ID, bytes)
	if err != nil {
		t.Logf("no control group for %s: %v", n.ID, err)
		return false
	}
	n.t.Cleanup(func() {
		n.Kill()
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := release(ctx); err != nil {
			n.t.Error(err)
		}
	})
	return true
}

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
