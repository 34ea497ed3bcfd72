package faultfs

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// RemoveStale takes away the disks of harnesses that were killed. Their mounts
// stay, and every access to one fails, also that of whoever removes the directory.
func RemoveStale() error {
	text, err := os.ReadFile("/proc/mounts")
	if err != nil {
		return nil // no Linux, or nothing is told: there is nothing to find
	}
	var errs []error
	for dir, pid := range mountsOf(string(text)) {
		// Not by looking at the directory: that may hang on a disk without server.
		if !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			continue // somebody serves it
		}
		if err := syscall.Unmount(dir, syscall.MNT_DETACH|syscall.MNT_FORCE); err != nil && !errors.Is(err, syscall.EINVAL) {
			errs = append(errs, fmt.Errorf("unmount what an earlier run left at %s: %w", dir, err))
		}
	}
	return errors.Join(errs...)
}

// mountsOf finds our disks in the kernel's list of mounts: the process that serves
// each directory.
func mountsOf(list string) map[string]int {
	dirs := map[string]int{}
	plain := strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
	for line := range strings.Lines(list) {
		f := strings.Fields(line)
		if len(f) < 3 || !strings.HasPrefix(f[2], "fuse") {
			continue
		}
		if pid, err := strconv.Atoi(strings.TrimPrefix(f[0], fsName)); err == nil && strings.HasPrefix(f[0], fsName) && pid > 0 {
			dirs[plain.Replace(f[1])] = pid
		}
	}
	return dirs
}
