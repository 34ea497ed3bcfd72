package stats

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/lockstepkv/lockstep/resp"
)

// maxErrorCodes bounds the distinct error codes that are counted; commands
// answer a handful, and a client must not be able to make more.
const maxErrorCodes = 128

// Errors counts error replies by their code.
type Errors struct {
	mu    sync.Mutex
	codes map[string]int64 // guarded by mu
	total atomic.Int64
}

// CodeCount is how many error replies had a code.
type CodeCount struct {
	Code  string
	Count int64
}

// Count adds an error reply.
func (e *Errors) Count(v resp.Value) {
	e.total.Add(1)
	code := resp.Error(v.Str).Code()
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.codes == nil {
		e.codes = make(map[string]int64)
	}
	if _, known := e.codes[code]; known || len(e.codes) < maxErrorCodes {
		e.codes[code]++
	}
}

// Total is the number of all error replies.
func (e *Errors) Total() int64 { return e.total.Load() }

// List returns the counts in the order of the codes.
func (e *Errors) List() []CodeCount {
	e.mu.Lock()
	defer e.mu.Unlock()
	out := make([]CodeCount, 0, len(e.codes))
	for c, n := range e.codes {
		out = append(out, CodeCount{c, n})
	}
	slices.SortFunc(out, func(a, b CodeCount) int { return strings.Compare(a.Code, b.Code) })
	return out
}

func (e *Errors) reset() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.codes = nil
	e.total.Store(0)
}
