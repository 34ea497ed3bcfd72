package faultfs

import (
	"errors"
	"fmt"
	"os"
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
	for _, dir := range mountsOf(string(text)) {
		if _, err := os.Stat(dir); !errors.Is(err, syscall.ENOTCONN) {
			continue // somebody serves it
		}
		if err := syscall.Unmount(dir, syscall.MNT_DETACH|syscall.MNT_FORCE); err != nil && !errors.Is(err, syscall.EINVAL) {
			errs = append(errs, fmt.Errorf("unmount what an earlier run left at %s: %w", dir, err))
		}
	}
	return errors.Join(errs...)
}

// mountsOf finds the directories of our disks in the kernel's list of mounts.
func mountsOf(list string) (dirs []string) {
	plain := strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
	for line := range strings.Lines(list) {
		if f := strings.Fields(line); len(f) > 2 && f[0] == fsName && strings.HasPrefix(f[2], "fuse") {
			dirs = append(dirs, plain.Replace(f[1]))
		}
	}
	return dirs
}
