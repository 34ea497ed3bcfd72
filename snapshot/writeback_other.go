//go:build !linux

package snapshot

import "os"

// writeback writes f to the disk where the system has no call for a part of it.
func writeback(f *os.File, _, _, _ int64) error { return f.Sync() }
