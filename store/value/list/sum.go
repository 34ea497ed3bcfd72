package list

import (
	"math/bits"

	"github.com/cespare/xxhash/v2"
)

// The sum of a list is a polynomial over its elements' hashes, modulo a prime:
//
//	sum = h(0) + h(1)*base + h(2)*base^2 + ...
//
// so that the sum of two runs one behind the other follows from theirs, and an
// element can be put in or taken out in the middle.
const (
	prime   = 1<<61 - 1
	base    = 0x1b8e3c5d7f2a9461
	inverse = 0x6cf6e4c3eaec976 // of base
)

func add(a, b uint64) uint64 {
	if a += b; a >= prime {
		a -= prime
	}
	return a
}

func sub(a, b uint64) uint64 { return add(a, prime-b) }

func mul(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return add(lo&prime, hi<<3|lo>>61)
}

// power returns base^n.
func power(n int) uint64 { return raise(base, n) }

func raise(square uint64, n int) uint64 {
	p := uint64(1)
	for ; n > 0; n >>= 1 {
		if n&1 != 0 {
			p = mul(p, square)
		}
		square = mul(square, square)
	}
	return p
}

func hashOf(e []byte) uint64 {
	h := xxhash.Sum64(e)
	return add(h&prime, h>>61)
}

// run is what is known of elements in a row without reading them.
type run struct {
	n     int
	bytes int64  // accounted in the large form
	lp    int64  // in a listpack of Redis
	sum   uint64 // see above
	pow   uint64 // base^n
}

var nothing = run{pow: 1}

// only is the run of one element.
func only(e []byte) run {
	return run{n: 1, bytes: elementBytes(len(e)), lp: ListpackBytes(e), sum: hashOf(e), pow: base}
}

// then is r with another run behind it.
func (r run) then(next run) run {
	return run{
		n: r.n + next.n, bytes: r.bytes + next.bytes, lp: r.lp + next.lp,
		sum: add(r.sum, mul(r.pow, next.sum)), pow: mul(r.pow, next.pow),
	}
}

// inserted is r with the run of one element behind its first ones.
func (r run) inserted(first, e run) run {
	behind := sub(r.sum, first.sum)
	r.sum = add(first.sum, add(mul(first.pow, e.sum), mul(base, behind)))
	r.n, r.bytes, r.lp, r.pow = r.n+e.n, r.bytes+e.bytes, r.lp+e.lp, mul(r.pow, e.pow)
	return r
}

// removed is r without the run that is behind its first ones.
func (r run) removed(first, gone run) run {
	behind := sub(sub(r.sum, first.sum), mul(first.pow, gone.sum))
	back := raise(inverse, gone.n)
	r.sum = add(first.sum, mul(behind, back))
	r.n, r.bytes, r.lp, r.pow = r.n-gone.n, r.bytes-gone.bytes, r.lp-gone.lp, mul(r.pow, back)
	return r
}
