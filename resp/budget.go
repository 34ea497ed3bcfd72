package resp

import (
	"fmt"
	"sync"
	"time"
)

// Budget bounds the bytes that requests in the making may hold in all readers
// that share it. A reader that meets a full budget waits without reading from
// its socket, so the client feels back-pressure; after the patience is over
// the request is refused. The patience is what resolves the deadlock of many
// half-read requests that wait for one another.
type Budget struct {
	patience time.Duration
	limit    int64

	mu    sync.Mutex
	used  int64         // guarded by mu
	freed chan struct{} // guarded by mu; closed at the next release when somebody waits, else nil
}

// NewBudget returns a budget of limit bytes, for which readers wait up to
// patience.
func NewBudget(limit int64, patience time.Duration) *Budget {
	return &Budget{limit: limit, patience: patience}
}

// Used returns the bytes held now.
func (b *Budget) Used() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.used
}

// Wanted reports whether a reader waits for others to give something back.
func (b *Budget) Wanted() bool {
	if b == nil {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.freed != nil
}

// acquire takes n bytes, or returns an error that wraps ErrBudget.
func (b *Budget) acquire(n int64) error {
	if b == nil || n <= 0 {
		return nil
	}
	freed, ok := b.try(n)
	if ok {
		return nil
	}
	if n > b.limit {
		return fmt.Errorf("%w: %d wanted, limit %d", ErrBudget, n, b.limit)
	}
	timer := time.NewTimer(b.patience)
	defer timer.Stop()
	for {
		select {
		case <-freed:
			if freed, ok = b.try(n); ok {
				return nil
			}
		case <-timer.C:
			return fmt.Errorf("%w: limit %d", ErrBudget, b.limit)
		}
	}
}

func (b *Budget) try(n int64) (freed <-chan struct{}, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.used+n <= b.limit {
		b.used += n
		return nil, true
	}
	if b.freed == nil {
		b.freed = make(chan struct{})
	}
	return b.freed, false
}

func (b *Budget) release(n int64) {
	if b == nil || n <= 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used -= n
	if b.freed != nil {
		close(b.freed)
		b.freed = nil
	}
}
