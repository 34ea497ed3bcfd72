package history

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

const (
	formatName    = "lockstep-history"
	formatVersion = 1
	maxLineBytes  = 64 << 20 // a read of a long list is one line
)

type header struct {
	Format   string `json:"format"`
	Version  int    `json:"version"`
	Workload string `json:"workload"`
	Ops      int    `json:"ops"`
}

// line is an operation as it is written. Times are nanoseconds; an operation
// in doubt has no return.
type line[I, O any] struct {
	ID      int            `json:"id"`
	Client  int            `json:"client"`
	Node    string         `json:"node,omitempty"`
	Kind    string         `json:"kind"`
	Key     string         `json:"key,omitempty"`
	Call    time.Duration  `json:"call_ns"`
	Return  *time.Duration `json:"return_ns,omitempty"`
	Outcome Outcome        `json:"outcome"`
	Error   string         `json:"error,omitempty"`
	Input   I              `json:"input"`
	Output  *O             `json:"output,omitempty"`
}

// Encode writes a history as JSON Lines: a header that names the workload, then
// one operation a line.
func Encode[I, O any](w io.Writer, workload string, ops []Op[I, O]) error {
	buffered := bufio.NewWriterSize(w, 1<<16)
	enc := json.NewEncoder(buffered)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(header{Format: formatName, Version: formatVersion, Workload: workload, Ops: len(ops)}); err != nil {
		return fmt.Errorf("history: encode header: %w", err)
	}
	for i := range ops {
		if err := enc.Encode(toLine(&ops[i])); err != nil {
			return fmt.Errorf("history: encode operation %d: %w", ops[i].ID, err)
		}
	}
	return buffered.Flush()
}

func toLine[I, O any](op *Op[I, O]) line[I, O] {
	l := line[I, O]{ID: op.ID, Client: op.Client, Node: op.Node, Kind: op.Kind, Key: op.Key,
		Call: op.Call, Outcome: op.Outcome, Error: op.Error, Input: op.Input}
	if op.Return != Forever {
		l.Return = &op.Return
	}
	if op.Outcome == OK {
		l.Output = &op.Output
	}
	return l
}

// Decode reads what Encode wrote. A file of another workload, a file that was
// cut short and operations that make no sense (see Validate) are refused.
func Decode[I, O any](r io.Reader, workload string) ([]Op[I, O], error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 1<<16), maxLineBytes)
	head, err := decodeHeader(lines)
	if err != nil {
		return nil, err
	}
	if head.Workload != workload {
		return nil, fmt.Errorf("%w: workload %q, not %q", ErrFormat, head.Workload, workload)
	}
	var ops []Op[I, O]
	for lines.Scan() {
		var l line[I, O]
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			return nil, fmt.Errorf("%w: line %d: %w", ErrFormat, len(ops)+2, err)
		}
		ops = append(ops, fromLine(&l))
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("history: line %d: %w", len(ops)+2, err)
	}
	if len(ops) != head.Ops {
		return nil, fmt.Errorf("%w: %d operations, the header says %d", ErrFormat, len(ops), head.Ops)
	}
	return ops, Validate(ops)
}

// Workload reads the name of the workload from the header of a history, so
// that the reader knows with which types to decode it.
func Workload(r io.Reader) (string, error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 1<<12), 1<<16)
	head, err := decodeHeader(lines)
	return head.Workload, err
}

func decodeHeader(lines *bufio.Scanner) (header, error) {
	if !lines.Scan() {
		if err := lines.Err(); err != nil {
			return header{}, fmt.Errorf("history: header: %w", err)
		}
		return header{}, fmt.Errorf("%w: empty", ErrFormat)
	}
	var head header
	if err := json.Unmarshal(lines.Bytes(), &head); err != nil {
		return header{}, fmt.Errorf("%w: header: %w", ErrFormat, err)
	}
	if head.Format != formatName {
		return header{}, fmt.Errorf("%w: format %q", ErrFormat, head.Format)
	}
	if head.Version != formatVersion {
		return header{}, fmt.Errorf("%w: version %d; this program knows %d", ErrFormat, head.Version, formatVersion)
	}
	return head, nil
}

func fromLine[I, O any](l *line[I, O]) Op[I, O] {
	meta := Meta{ID: l.ID, Client: l.Client, Node: l.Node, Kind: l.Kind, Key: l.Key,
		Call: l.Call, Return: Forever, Outcome: l.Outcome, Error: l.Error}
	if l.Return != nil {
		meta.Return = *l.Return
	}
	op := Op[I, O]{Meta: meta, Input: l.Input}
	if l.Output != nil {
		op.Output = *l.Output
	}
	return op
}

// Validate reports whether sequential clients can have produced the operations:
// IDs count from 0, intervals are not negative, only operations in doubt are
// without end, and no client has two definite operations at once. The error
// wraps ErrMalformed and names the first few faults.
func Validate[I, O any](ops []Op[I, O]) error {
	type last struct {
		id  int
		end time.Duration
	}
	var errs []error
	clients := map[int]last{}
	for i := range ops {
		op := &ops[i]
		if err := validateOne(i, op.Meta); err != nil {
			errs = append(errs, err)
		}
		if before, ok := clients[op.Client]; ok && before.end > op.Call {
			errs = append(errs, fmt.Errorf("%w: client %d calls #%d before #%d returned", ErrMalformed, op.Client, op.ID, before.id))
		}
		if op.Outcome != InDoubt {
			clients[op.Client] = last{op.ID, op.Return}
		}
		if len(errs) >= 5 {
			break
		}
	}
	return errors.Join(errs...)
}

func validateOne(place int, m Meta) error {
	switch {
	case m.ID != place:
		return fmt.Errorf("%w: operation %d of the history has the id %d", ErrMalformed, place, m.ID)
	case m.Outcome < OK || m.Outcome > InDoubt:
		return fmt.Errorf("%w: #%d has no outcome", ErrMalformed, m.ID)
	case m.Return < m.Call:
		return fmt.Errorf("%w: #%d returns before it is called", ErrMalformed, m.ID)
	case (m.Return == Forever) != (m.Outcome == InDoubt):
		return fmt.Errorf("%w: #%d is %s and returns at %d", ErrMalformed, m.ID, m.Outcome, m.Return)
	}
	return nil
}
