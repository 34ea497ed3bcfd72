package raftlog

import (
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
)

// Errors of opening.
var (
	// ErrLocked means that another process (or another Store of this one) has the log open.
	ErrLocked = errors.New("raft log is in use by another process")
	// ErrEngine means that the engine is unknown or that the directory belongs to the other one.
	ErrEngine = errors.New("wrong raft log engine")
)

// Errors of reading and writing.
var (
	// ErrClosed means that the Store was closed.
	ErrClosed = errors.New("raft log is closed")
	// ErrFailed means that an earlier write failed so that the disk's contents are unknown. Nothing
	// is written any more; reads still answer what was durable before. Only reopening helps.
	ErrFailed = errors.New("raft log failed earlier and takes no more writes")
	// ErrGap means that an index does not follow the last one, or that a deletion would leave a hole.
	ErrGap = errors.New("raft log must stay contiguous")
	// ErrTooLarge means that an entry exceeds MaxEntryBytes.
	ErrTooLarge = errors.New("raft log entry is too large")
)

// CorruptError reports stored bytes that are not what was written. It is never returned for the remains
// of a write that was not acknowledged: those are removed when the log is opened.
type CorruptError struct {
	File   string // path of the damaged file
	Offset int64  // where the damage was noticed; -1 when unknown
	Index  uint64 // log index concerned; 0 when unknown
	Err    error
}

func (e *CorruptError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "raft log corrupt: %s", e.File)
	if e.Offset >= 0 {
		fmt.Fprintf(&b, " at offset %d", e.Offset)
	}
	if e.Index > 0 {
		fmt.Fprintf(&b, " (log index %d)", e.Index)
	}
	fmt.Fprintf(&b, ": %v", e.Err)
	return b.String()
}

func (e *CorruptError) Unwrap() error { return e.Err }

// corrupt is the short form for the many places that notice damage.
func corrupt(file string, offset int64, index uint64, format string, args ...any) *CorruptError {
	return &CorruptError{File: file, Offset: offset, Index: index, Err: fmt.Errorf(format, args...)}
}

// guard runs fn and turns a panic of the engine into a CorruptError: bbolt panics on pages that are not
// what it wrote, and a disk that cannot read a mapped page raises a fault.
func guard(file string, fn func() error) error { return Guard(file, fn) }

// Guard is for those who use a file that OpenBolt opened.
func Guard(file string, fn func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			err = corrupt(file, -1, 0, "storage engine panicked: %v", r)
		}
	}()
	return fn()
}
