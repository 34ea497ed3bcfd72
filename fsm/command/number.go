package command

import (
	"math"
	"strconv"

	"github.com/lockstepkv/lockstep/resp"
	"github.com/lockstepkv/lockstep/store"
)

// maxStringBytes is Redis's proto-max-bulk-len: no string grows longer, whatever
// the entry's limit is.
const maxStringBytes = 512 << 20

// MaxValueBytes is how long a value may become.
func (c *Ctx) MaxValueBytes() int64 {
	if c.ValueLimit > 0 && c.ValueLimit < maxStringBytes {
		return c.ValueLimit
	}
	return maxStringBytes
}

// ParseInt reads a decimal 64 bit integer in its one canonical form: no plus
// sign, no leading zero, no "-0", no spaces.
func ParseInt(b []byte) (int64, bool) {
	if len(b) == 0 || len(b) > 20 {
		return 0, false
	}
	digits := b
	neg := b[0] == '-'
	if neg {
		digits = b[1:]
	}
	if len(digits) == 0 || digits[0] == '0' && len(b) > 1 {
		return 0, false
	}
	var u uint64
	for _, c := range digits {
		d := uint64(c) - '0'
		if d > 9 || u > (math.MaxUint64-d)/10 {
			return 0, false
		}
		u = u*10 + d
	}
	switch {
	case neg && u <= 1<<63:
		return -int64(u), true
	case !neg && u <= math.MaxInt64:
		return int64(u), true
	}
	return 0, false
}

// IntArg is ParseInt for an argument.
func IntArg(b []byte) (int64, error) {
	n, ok := ParseInt(b)
	if !ok {
		return 0, ErrNotInteger
	}
	return n, nil
}

// AddOverflows reports whether a+b does not fit.
func AddOverflows(a, b int64) bool {
	return b > 0 && a > math.MaxInt64-b || b < 0 && a < math.MinInt64-b
}

// BoolReply is 1 or 0.
func BoolReply(b bool) resp.Value {
	if b {
		return resp.One
	}
	return resp.Zero
}

// IsWord reports whether b is word (upper case) in any case.
func IsWord(b []byte, word string) bool {
	if len(b) != len(word) {
		return false
	}
	for i, c := range b {
		if c >= 'a' && c <= 'z' {
			c -= 'a' - 'A'
		}
		if c != word[i] {
			return false
		}
	}
	return true
}

// Increment adds by to the integer under key, 0 if there is none; the key keeps its
// lifetime.
func (c *Ctx) Increment(key []byte, by int64) (int64, *store.Entry, error) {
	var n, at int64
	e, err := c.LookupOf(store.String, key)
	if err != nil {
		return 0, nil, err
	}
	if e != nil {
		var ok bool
		if n, ok = ParseInt(e.Look()); !ok {
			return 0, nil, OfValue(ErrNotInteger)
		}
		at = e.ExpireAt()
	}
	if AddOverflows(n, by) {
		return 0, nil, OfValue(ErrOverflow)
	}
	n += by
	var buf [20]byte
	return n, c.Put(key, strconv.AppendInt(buf[:0], n, 10), at, false), nil
}
