package procs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Confine bounds the memory of a process, as an operator would, with a control group of its own:
// the system ends a process that takes more. The error says that it needs rights that this program
// does not have. After the end of the process, release removes the group.
func Confine(pid int, name string, bytes int64) (release func(context.Context) error, err error) {
	dir := filepath.Join("/sys/fs/cgroup/memory", fmt.Sprintf("lockstep-%d-%s-%d", os.Getpid(), name, pid))
	limit := "memory.limit_in_bytes"
	if _, err := os.Stat("/sys/fs/cgroup/memory"); errors.Is(err, fs.ErrNotExist) {
		dir, limit = strings.Replace(dir, "/memory", "", 1), "memory.max"
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, err
	}
	release = func(ctx context.Context) error { // the system clears the process away first
		return Poll(ctx, 20*time.Millisecond, func() error { return os.Remove(dir) })
	}
	for _, w := range []struct{ file, text string }{{limit, strconv.FormatInt(bytes, 10)}, {"cgroup.procs", strconv.Itoa(pid)}} {
		if err := os.WriteFile(filepath.Join(dir, w.file), []byte(w.text), 0); err != nil {
			return nil, errors.Join(err, os.Remove(dir))
		}
	}
	return release, nil
}
