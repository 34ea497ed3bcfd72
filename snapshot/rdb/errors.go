package rdb

import (
	"errors"
	"fmt"
)

var (
	// ErrDamaged means that bytes are not what was written: a checksum does
	// not match, a length leads nowhere, the file ends too early or too late.
	ErrDamaged = errors.New("damaged data")

	// ErrUnsupported means that the file is well formed as far as it was read,
	// but holds something that this version does not know: a newer format, a
	// data type, a second database.
	ErrUnsupported = errors.New("unsupported content")
)

// CorruptError says where a file could not be read. It wraps ErrDamaged,
// ErrUnsupported or the error of the underlying reader.
type CorruptError struct {
	File   string // path or name; "" when reading from an unnamed stream
	Offset int64  // byte offset at which the trouble was noticed
	Err    error
}

func (e *CorruptError) Error() string {
	name := e.File
	if name == "" {
		name = "snapshot"
	}
	return fmt.Sprintf("%s: at byte %d: %v", name, e.Offset, e.Err)
}

func (e *CorruptError) Unwrap() error { return e.Err }

// Damaged returns an error that wraps ErrDamaged.
func Damaged(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrDamaged}, args...)...)
}

// Unsupported returns an error that wraps ErrUnsupported.
func Unsupported(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrUnsupported}, args...)...)
}

// ErrUnsound means that data in memory do not come to the sum that was kept while they
// changed: something else has changed them.
var ErrUnsound = errors.New("data in memory do not come to their running sum")
