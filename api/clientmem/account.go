package clientmem

import (
	"sync"
	"sync/atomic"
)

// Kind is what memory is for.
type Kind int

// The kinds.
const (
	Base   Kind = iota // the connection itself: socket, stack, session
	Query              // query buffers, and what points into them
	Reply              // the reply buffer, and replies that are being encoded
	Unread             // replies kept until the client takes them
	Queue              // commands of MULTI
	Watch              // keys of WATCH
	Body               // an HTTP request's body, and what is decoded from it
	Stream             // what a backup holds while it is sent
	Push               // what a client is told unasked and has not taken
	kinds
)

// step is how far what the budget knows of an account may be from what the account holds.
const step = 1 << 10

// Account is what one connection, or one request, holds. Its methods may be called from any goroutine.
// A nil Account counts nothing and refuses nothing.
type Account struct {
	b         *Budget
	kill      func()
	protected atomic.Bool

	// What CLIENT LIST tells besides, in bytes and numbers: the part of Query that requests fill, the
	// part of that which belongs to commands that run, and the pieces of Unread.
	Filled, Args, Pieces atomic.Int64

	parts [kinds]atomic.Int64
	held  atomic.Int64 // the sum of parts

	mu     sync.Mutex
	told   atomic.Int64 // of held, to the budget; changed with mu
	doomed atomic.Bool  // changed with mu
	closed bool         // guarded by mu
}

// Add changes what the account holds. It may end accounts.
func (a *Account) Add(k Kind, bytes int64) {
	if a == nil || bytes == 0 {
		return
	}
	a.parts[k].Add(bytes)
	if off := a.held.Add(bytes) - a.told.Load(); off >= step || off <= -step {
		a.tell()
	}
}

// Set says what the account holds of a kind. Only one goroutine may do so for a kind.
func (a *Account) Set(k Kind, bytes int64) {
	if a == nil {
		return
	}
	if was := a.parts[k].Load(); was != bytes {
		a.Add(k, bytes-was)
	}
}

// Take adds to what the account holds, or refuses if there is no room for it.
func (a *Account) Take(k Kind, bytes int64) bool {
	if a == nil || bytes <= 0 {
		return true
	}
	if !a.b.reserve(bytes) {
		a.b.refused.Add(1)
		return false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.parts[k].Add(bytes)
	a.held.Add(bytes)
	a.told.Add(bytes)
	if a.doomed.Load() {
		a.b.doomed.Add(bytes)
	}
	return true
}

// Fits reports whether the account may hold so many bytes more and have no more than its share. If not,
// that counts as refused.
func (a *Account) Fits(bytes int64) bool {
	if a == nil || a.held.Load()+bytes <= a.b.Share() {
		return true
	}
	a.b.refused.Add(1)
	return false
}

// Of returns what the account holds of a kind.
func (a *Account) Of(k Kind) int64 {
	if a == nil {
		return 0
	}
	return a.parts[k].Load()
}

// Total returns all that the account holds.
func (a *Account) Total() int64 {
	if a == nil {
		return 0
	}
	return a.held.Load()
}

// Protect keeps the account from being ended for want of memory, or no longer. Once it returns, Doomed
// tells whether that came too late.
func (a *Account) Protect(on bool) {
	if a == nil {
		return
	}
	a.b.mu.Lock() // what is being ended is doomed when this returns
	defer a.b.mu.Unlock()
	a.protected.Store(on)
}

// Doomed reports whether the account was ended for want of memory.
func (a *Account) Doomed() bool { return a != nil && a.doomed.Load() }

// Close gives everything back. What is added later counts nothing.
func (a *Account) Close() {
	if a == nil {
		return
	}
	a.b.mu.Lock()
	delete(a.b.accounts, a)
	a.b.mu.Unlock()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.charge(-a.told.Load())
	a.closed = true
}

// tell tells the budget, and has it look after its limit.
func (a *Account) tell() {
	if a.settle() {
		a.b.relieve()
	}
}

// settle tells the budget what the account holds now, and reports whether that is more than before.
func (a *Account) settle() (more bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	diff := a.held.Load() - a.told.Load()
	a.charge(diff)
	return diff > 0
}

// charge is for who holds mu.
func (a *Account) charge(diff int64) {
	if a.closed {
		return
	}
	a.told.Add(diff)
	if a.doomed.Load() {
		a.b.doomed.Add(diff)
	}
	a.b.used.Add(diff)
}

// doom ends the account. The budget's mu is held.
func (a *Account) doom() {
	a.mu.Lock()
	if a.closed || a.doomed.Load() {
		a.mu.Unlock()
		return
	}
	a.doomed.Store(true)
	a.b.doomed.Add(a.told.Load())
	a.mu.Unlock()
	a.b.evicted.Add(1)
	a.kill()
}
