package history

import "errors"

// Errors of decoding and validation.
var (
	// ErrOutcome is given for an outcome that is none of OK, Fail and InDoubt.
	ErrOutcome = errors.New("history: unknown outcome")
	// ErrFormat is given for a file that is no history, of an unknown version,
	// or of another workload.
	ErrFormat = errors.New("history: not a history of this format")
	// ErrMalformed is given for operations that no set of sequential clients
	// can have produced.
	ErrMalformed = errors.New("history: malformed")
)
