package store

import (
	"math"

	"github.com/lockstepkv/lockstep/store/value/hash"
	"github.com/lockstepkv/lockstep/store/value/list"
	"github.com/lockstepkv/lockstep/store/value/set"
	"github.com/lockstepkv/lockstep/store/value/zset"
)

// Limit is one of the sizes up to which values have the form for small ones. They are
// replicated, since a form decides what a value takes, and how Redis names it.
type Limit uint8

// The limits, as Redis's settings of the same names. Their numbers stand in log entries.
const (
	HashEntries Limit = iota // fields of a packed hash
	HashValue                // bytes of a field or a value in one
	ListSize                 // elements of a packed list, or -1 to -5: 4, 8, 16, 32 or 64 KiB
	SetIntset                // members of a set of integers
	SetEntries               // members of a packed set
	SetValue                 // bytes of one in it
	ZSetEntries              // members of a packed sorted set
	ZSetValue                // bytes of one in it
	HLLSparse                // bytes of a HyperLogLog in its sparse form
	LimitCount
)

// LimitInfo is what a setting for a Limit looks like.
type LimitInfo struct {
	Name, Former string // Redis's name, and the one from before version 7; empty: none
	Default      int64
	Least, Most  int64
	Help         string
}

// limits are Redis's, with an end where a packed value would be too slow.
var limits = [LimitCount]LimitInfo{
	HashEntries: {"hash-max-listpack-entries", "hash-max-ziplist-entries", 512, 0, math.MaxInt32, "fields that a hash may have and be packed"},
	HashValue:   {"hash-max-listpack-value", "hash-max-ziplist-value", 64, 0, math.MaxInt32, "bytes that a field or a value of a packed hash may have"},
	ListSize:    {"list-max-listpack-size", "list-max-ziplist-size", -2, math.MinInt32, math.MaxInt32, "elements of a node of a list, or, from -1 to -5, 4 to 64 KiB"},
	SetIntset:   {"set-max-intset-entries", "", 512, 0, math.MaxInt32, "members that a set of integers may have and be an intset"},
	SetEntries:  {"set-max-listpack-entries", "", 128, 0, math.MaxInt32, "members that a set may have and be packed"},
	SetValue:    {"set-max-listpack-value", "", 64, 0, math.MaxInt32, "bytes that a member of a packed set may have"},
	ZSetEntries: {"zset-max-listpack-entries", "zset-max-ziplist-entries", 128, 0, math.MaxInt32, "members that a sorted set may have and be packed"},
	ZSetValue:   {"zset-max-listpack-value", "zset-max-ziplist-value", 64, 0, math.MaxInt32, "bytes that a member of a packed sorted set may have"},
	HLLSparse:   {"hll-sparse-max-bytes", "", 3000, 0, math.MaxInt32, "bytes that a HyperLogLog may have in its sparse form"},
}

// Info tells how l is set.
func (l Limit) Info() LimitInfo { return limits[l] }

// Limits has a value for each Limit.
type Limits [LimitCount]int64

// DefaultLimits are Redis's.
func DefaultLimits() (l Limits) {
	for i := range limits {
		l[i] = limits[i].Default
	}
	return l
}

// Set sets a limit, and reports whether it is one and may have that value.
func (l *Limits) Set(which Limit, value int64) bool {
	if which >= LimitCount || value < limits[which].Least || value > limits[which].Most {
		return false
	}
	l[which] = value
	return true
}

// Hash returns what of l is about hashes.
func (l *Limits) Hash() hash.Limits {
	return hash.Limits{Fields: int(l[HashEntries]), Bytes: int(l[HashValue])}
}

// List returns what of l is about lists.
func (l *Limits) List() list.Limits { return list.LimitsOf(int(l[ListSize])) }

// ZSet returns what of l is about sorted sets.
func (l *Limits) ZSet() zset.Limits {
	return zset.Limits{Members: int(l[ZSetEntries]), Bytes: int(l[ZSetValue])}
}

// Sets returns what of l is about sets.
func (l *Limits) Sets() set.Limits {
	return set.Limits{Ints: int(l[SetIntset]), Members: int(l[SetEntries]), Bytes: int(l[SetValue])}
}
