package store

import (
	"errors"
	"fmt"
)

// ErrUnknownPolicy is returned by ParsePolicy.
var ErrUnknownPolicy = errors.New("unknown eviction policy")

// Policy is an eviction policy, by the names of Redis's maxmemory-policy.
type Policy uint8

// The eviction policies. AllKeysSieve is SIEVE (Zhang et al., NSDI 2024).
const (
	NoEviction Policy = iota
	AllKeysLRU
	AllKeysLFU
	AllKeysRandom
	VolatileLRU
	VolatileLFU
	VolatileRandom
	VolatileTTL
	AllKeysSieve
	policyCount
)

func policyNames() [policyCount]string {
	return [policyCount]string{
		NoEviction:     "noeviction",
		AllKeysLRU:     "allkeys-lru",
		AllKeysLFU:     "allkeys-lfu",
		AllKeysRandom:  "allkeys-random",
		VolatileLRU:    "volatile-lru",
		VolatileLFU:    "volatile-lfu",
		VolatileRandom: "volatile-random",
		VolatileTTL:    "volatile-ttl",
		AllKeysSieve:   "allkeys-sieve",
	}
}

// PolicyNames are what ParsePolicy takes: Redis's names in its order, then ours.
func PolicyNames() []string {
	var list []string
	for _, p := range []Policy{VolatileLRU, VolatileLFU, VolatileRandom, VolatileTTL, AllKeysLRU, AllKeysLFU, AllKeysRandom, NoEviction, AllKeysSieve} {
		list = append(list, p.String())
	}
	return list
}

// String returns the name that ParsePolicy takes.
func (p Policy) String() string {
	if p >= policyCount {
		return fmt.Sprintf("policy(%d)", uint8(p))
	}
	return policyNames()[p]
}

// ParsePolicy returns the policy of that name, or ErrUnknownPolicy.
func ParsePolicy(name string) (Policy, error) {
	for p, n := range policyNames() {
		if n == name {
			return Policy(p), nil
		}
	}
	return 0, fmt.Errorf("%w: %q", ErrUnknownPolicy, name)
}

// VolatileOnly reports whether only keys with an expiry time may be evicted.
func (p Policy) VolatileOnly() bool { return p >= VolatileLRU && p <= VolatileTTL }

// LFU reports whether p ranks keys by access frequency.
func (p Policy) LFU() bool { return p == AllKeysLFU || p == VolatileLFU }

// Reads reports whether p asks which keys were read.
func (p Policy) Reads() bool {
	switch p {
	case AllKeysLRU, AllKeysLFU, VolatileLRU, VolatileLFU, AllKeysSieve:
		return true
	}
	return false
}

// DefaultSamples is Redis's default of maxmemory-samples.
const DefaultSamples = 5

// Options configure a Store.
type Options struct {
	Policy Policy

	// Samples is how many keys are looked at for one place in the eviction
	// pool; 0 means DefaultSamples.
	Samples int

	// LFULogFactor slows the growth of the frequency counter: 255 is reached
	// after about 1 M accesses with 10. 0 counts every access.
	LFULogFactor int

	// LFUDecayMinutes is the idle time that takes one off the frequency
	// counter. 0 means never.
	LFUDecayMinutes int

	// OnChange, if not nil, sees every change of a key after it was made: before
	// is nil for a new key, after is nil for a removed one, both are nil after
	// Clear. It runs in the writer and must not change the store. A collection
	// that has changed may be the same in both.
	OnChange func(before, after *Entry)
}

// DefaultOptions returns Redis's defaults.
func DefaultOptions() Options {
	return Options{Policy: NoEviction, Samples: DefaultSamples, LFULogFactor: 10, LFUDecayMinutes: 1}
}
