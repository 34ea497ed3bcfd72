package hll

import (
	"bytes"
	"errors"
	"math/bits"
)

const (
	indexBits    = 14
	registers    = 1 << indexBits
	rankBits     = 64 - indexBits // of a hash; the largest rank is one more
	registerBits = 6
	headBytes    = 16
	denseBytes   = headBytes + registers*registerBits/8

	// SparseBytes is how long a sparse string may become, unless Limit says otherwise, as
	// Redis's hll-sparse-max-bytes.
	SparseBytes = 3000
)

const (
	encodingAt  = 4
	cacheFlagAt = 15
	dense       = 0
	sparse      = 1
)

var magic = []byte("HYLL")

// Errors of strings.
var (
	ErrInvalid = errors.New("not a HyperLogLog")
	ErrCorrupt = errors.New("a HyperLogLog of which the registers are damaged")
)

// Sketch is a HyperLogLog in its string. The zero Sketch is none.
type Sketch struct {
	b     []byte
	limit int // of a sparse string
}

// New returns an empty sketch.
func New() Sketch {
	b := append(append(make([]byte, 0, headBytes+2), magic...), make([]byte, headBytes-len(magic))...)
	b[encodingAt] = sparse
	return Sketch{appendZeros(b, registers), SparseBytes}
}

// Of returns the sketch in b, which belongs to it from then on, or ErrInvalid. Reading leaves
// b as it is.
func Of(b []byte) (Sketch, error) {
	if len(b) < headBytes || !bytes.HasPrefix(b, magic) || b[encodingAt] > sparse || b[encodingAt] == dense && len(b) != denseBytes {
		return Sketch{}, ErrInvalid
	}
	return Sketch{b, SparseBytes}, nil
}

// Limit says how long a sparse string may become.
func (s *Sketch) Limit(bytes int) { s.limit = bytes }

// Bytes returns the string.
func (s *Sketch) Bytes() []byte { return s.b }

// Dense reports whether s has all registers one by one.
func (s *Sketch) Dense() bool { return s.b[encodingAt] == dense }

// Invalidate says that the cached cardinality is out of date.
func (s *Sketch) Invalidate() { s.b[cacheFlagAt] |= 0x80 }

// Add adds an element, and reports whether a register has changed.
func (s *Sketch) Add(element []byte) (changed bool, err error) {
	return s.set(place(element))
}

// place returns the register of an element, and its rank: how many bits of the hash there are up to
// the first one.
func place(element []byte) (index int, rank byte) {
	h := murmur64A(element)
	return int(h & (registers - 1)), byte(bits.TrailingZeros64(h>>indexBits|1<<rankBits) + 1)
}

// DensePlace returns which bytes of a dense sketch hold the register of an element: those from
// one offset up to, without, another.
func DensePlace(element []byte) (from, to int) {
	index, _ := place(element)
	return headBytes + index*registerBits/8, headBytes + (index*registerBits+registerBits-1)/8 + 1
}

// Bytes of the cached cardinality.
const (
	CacheFrom = headBytes - 8
	CacheTo   = headBytes
)

// set makes a register rank, unless it is as high.
func (s *Sketch) set(index int, rank byte) (changed bool, err error) {
	if s.Dense() {
		return s.setDense(index, rank), nil
	}
	return s.setSparse(index, rank)
}

func (s *Sketch) setDense(index int, rank byte) bool {
	r := s.b[headBytes:]
	if register(r, index) >= rank {
		return false
	}
	at, shift := index*registerBits/8, index*registerBits&7
	r[at] = r[at]&^(63<<shift) | rank<<shift
	if shift > 2 {
		r[at+1] = r[at+1]&^(63>>(8-shift)) | rank>>(8-shift)
	}
	return true
}

// register reads one of dense registers.
func register(r []byte, index int) byte {
	at, shift := index*registerBits/8, index*registerBits&7
	v := r[at] >> shift
	if shift > 2 {
		v |= r[at+1] << (8 - shift)
	}
	return v & 63
}

// MakeDense turns a sparse sketch into a dense one. The cached cardinality stays.
func (s *Sketch) MakeDense() error {
	if s.Dense() {
		return nil
	}
	d := Sketch{b: make([]byte, denseBytes)}
	copy(d.b, s.b[:headBytes])
	d.b[encodingAt] = dense
	err := s.eachRun(func(index, n int, rank byte) {
		for i := range n {
			if rank > 0 {
				d.setDense(index+i, rank)
			}
		}
	})
	if err == nil {
		*s = d
	}
	return err
}

// Registers are the ranks of all registers.
type Registers [registers]byte

// Merge makes each register the higher of its own and that of s.
func (m *Registers) Merge(s Sketch) error {
	return s.eachRun(func(index, n int, rank byte) {
		if rank == 0 {
			return
		}
		for i := index; i < index+n; i++ {
			m[i] = max(m[i], rank)
		}
	})
}

// Raise merges m into s.
func (s *Sketch) Raise(m *Registers) error {
	for i, rank := range m {
		if rank == 0 {
			continue
		}
		if _, err := s.set(i, rank); err != nil {
			return err
		}
	}
	s.Invalidate()
	return nil
}

// eachRun calls fn for runs of equal registers, in order, until all have come. It returns
// ErrCorrupt if the runs do not come to as many registers as there are.
func (s *Sketch) eachRun(fn func(index, n int, rank byte)) error {
	if s.Dense() {
		r := s.b[headBytes:]
		for i := range registers {
			fn(i, 1, register(r, i))
		}
		return nil
	}
	index := 0
	for p := s.b[headBytes:]; len(p) > 0; {
		r := runAt(p)
		if r.size > len(p) || index+r.n > registers {
			return ErrCorrupt
		}
		fn(index, r.n, r.rank)
		index += r.n
		p = p[r.size:]
	}
	if index != registers {
		return ErrCorrupt
	}
	return nil
}
