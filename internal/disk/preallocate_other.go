//go:build !linux

package disk

import "os"

// Preallocate makes an empty file this long; it is one hole.
func Preallocate(f *os.File, size int64) error { return f.Truncate(size) }
