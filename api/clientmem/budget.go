package clientmem

import (
	"cmp"
	"math"
	"slices"
	"sync"
	"sync/atomic"
)

// Budget bounds what all clients hold together. It is safe for concurrent use.
type Budget struct {
	limit  atomic.Int64 // 0: none
	used   atomic.Int64 // what accounts have told of, and fixed
	doomed atomic.Int64 // the part of used that belongs to accounts which are being ended
	fixed  atomic.Int64 // the part of used that has no account

	evicted atomic.Int64
	refused atomic.Int64

	mu       sync.Mutex // taken before an Account's
	accounts map[*Account]struct{}
}

// New returns a budget of limit bytes; 0 is no limit.
func New(limit int64) *Budget {
	b := &Budget{accounts: make(map[*Account]struct{})}
	b.limit.Store(limit)
	return b
}

// SetLimit changes the limit. Accounts that are too much for it end at once.
func (b *Budget) SetLimit(limit int64) {
	b.limit.Store(limit)
	b.relieve()
}

// Limit returns the limit; 0 is none.
func (b *Budget) Limit() int64 { return b.limit.Load() }

// Share is how much an account may hold of what it is asked for politely: where a request can be refused
// with an error, it is, before it takes more than half of everything.
func (b *Budget) Share() int64 {
	if limit := b.limit.Load(); limit > 0 {
		return limit / 2
	}
	return math.MaxInt64
}

// Evicted returns how many accounts were ended for want of memory.
func (b *Budget) Evicted() int64 { return b.evicted.Load() }

// Refused returns how many charges were refused.
func (b *Budget) Refused() int64 { return b.refused.Load() }

// ResetCounters is for CONFIG RESETSTAT.
func (b *Budget) ResetCounters() {
	b.evicted.Store(0)
	b.refused.Store(0)
}

// AddFixed counts what belongs to no account, such as idle connections of HTTP.
func (b *Budget) AddFixed(bytes int64) {
	b.fixed.Add(bytes)
	b.used.Add(bytes)
	if bytes > 0 {
		b.relieve()
	}
}

// Open begins an account. kill ends whatever the account is for: it is called at most once, from any
// goroutine, must not block, and must not use the Budget or the Account. Nil: it cannot be ended.
func (b *Budget) Open(kill func()) *Account {
	a := &Account{b: b, kill: kill}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.accounts[a] = struct{}{}
	return a
}

// Figures are what clients hold, by kind. Total is the sum of all of them and of what has no account.
type Figures struct {
	Of    [kinds]int64
	Total int64
}

// ByName returns the figures by names for metrics.
func (f Figures) ByName() map[string]int64 {
	return map[string]int64{
		"connections": f.Total - f.sum() + f.Of[Base], "query": f.Of[Query], "reply": f.Of[Reply], "unread": f.Of[Unread],
		"queue": f.Of[Queue], "watch": f.Of[Watch], "body": f.Of[Body], "stream": f.Of[Stream], "push": f.Of[Push],
	}
}

func (f Figures) sum() (n int64) {
	for _, part := range f.Of {
		n += part
	}
	return n
}

// Figures adds the accounts up.
func (b *Budget) Figures() Figures {
	f := Figures{Total: b.fixed.Load()}
	b.mu.Lock()
	defer b.mu.Unlock()
	for a := range b.accounts {
		for k := range kinds {
			n := a.parts[k].Load()
			f.Of[k] += n
			f.Total += n
		}
	}
	return f
}

// room reports whether what is used, without what is going, is within the limit.
func (b *Budget) room() bool {
	limit := b.limit.Load()
	return limit <= 0 || b.used.Load()-b.doomed.Load() <= limit
}

// reserve takes from the budget what fits into it.
func (b *Budget) reserve(bytes int64) bool {
	for {
		used, limit := b.used.Load(), b.limit.Load()
		if limit > 0 && used-b.doomed.Load()+bytes > limit {
			return false
		}
		if b.used.CompareAndSwap(used, used+bytes) {
			return true
		}
	}
}

// relieve ends accounts, the largest first, until the rest is within the limit.
func (b *Budget) relieve() {
	if b.room() {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range b.candidates() {
		if b.room() {
			return
		}
		c.doom()
	}
}

type candidate struct {
	*Account
	bytes int64
}

// candidates are the accounts that may be ended, the largest first; mu is held.
func (b *Budget) candidates() []candidate {
	var list []candidate
	for a := range b.accounts {
		if a.kill != nil && !a.protected.Load() && !a.Doomed() {
			list = append(list, candidate{a, a.held.Load()})
		}
	}
	slices.SortFunc(list, func(x, y candidate) int { return cmp.Compare(y.bytes, x.bytes) })
	return list
}
