package hll

import "slices"

const (
	maxZeros    = 64 // of a run of one byte
	maxRunRank  = 32
	maxRunRanks = 4
	// mergeSteps is how many runs are looked at for neighbors that can be one.
	mergeSteps = 5
)

// run are registers in a row that have the same rank.
type run struct {
	n    int
	rank byte
	size int // bytes
}

// runAt decodes the first run of p, which is not empty. Its size may be more than p has.
func runAt(p []byte) run {
	c := p[0]
	switch {
	case c&0x80 != 0:
		return run{n: int(c&3) + 1, rank: c>>2&31 + 1, size: 1}
	case c&0x40 == 0:
		return run{n: int(c) + 1, size: 1}
	case len(p) < 2:
		return run{size: 2}
	}
	return run{n: int(c&63)<<8 | int(p[1]) + 1, size: 2}
}

// appendZeros appends a run of n zeros, none if n is 0.
func appendZeros(dst []byte, n int) []byte {
	switch {
	case n == 0:
		return dst
	case n <= maxZeros:
		return append(dst, byte(n-1))
	}
	return append(dst, 0x40|byte((n-1)>>8), byte(n-1))
}

// appendRanks appends a run of n registers, none if n is 0.
func appendRanks(dst []byte, n int, rank byte) []byte {
	if n == 0 {
		return dst
	}
	return append(dst, 0x80|(rank-1)<<2|byte(n-1))
}

// setSparse is set for a sparse sketch. Where it puts runs, and which it joins, is as in
// Redis, so that the bytes are the same.
func (s *Sketch) setSparse(index int, rank byte) (changed bool, err error) {
	if rank > maxRunRank {
		return s.promote(index, rank)
	}
	at, prev, first := headBytes, headBytes, 0 // prev is the run before the one at at
	var r run
	for {
		if at >= len(s.b) {
			return false, ErrCorrupt
		}
		r = runAt(s.b[at:])
		if index < first+r.n {
			break
		}
		prev, at, first = at, at+r.size, first+r.n
	}
	if r.rank >= rank {
		return false, nil
	}
	var buf [5]byte
	seq := buf[:0]
	before, after := index-first, first+r.n-1-index
	if r.rank == 0 {
		seq = appendZeros(appendRanks(appendZeros(seq, before), 1, rank), after)
	} else {
		seq = appendRanks(appendRanks(appendRanks(seq, before, r.rank), 1, rank), after, r.rank)
	}
	if grown := len(seq) - r.size; grown > 0 && len(s.b)+grown > s.limit {
		return s.promote(index, rank)
	}
	s.b = slices.Replace(s.b, at, at+r.size, seq...)
	s.join(prev)
	s.Invalidate()
	return true, nil
}

// join makes one run of equal neighbors from the run at at on, where one can hold both.
func (s *Sketch) join(at int) {
	for step := 0; step < mergeSteps && at < len(s.b); step++ {
		a := runAt(s.b[at:])
		if a.rank > 0 && at+1 < len(s.b) {
			if b := runAt(s.b[at+1:]); b.rank == a.rank && a.n+b.n <= maxRunRanks {
				s.b[at+1] = appendRanks(nil, a.n+b.n, a.rank)[0]
				s.b = slices.Delete(s.b, at, at+1)
				continue
			}
		}
		at += a.size
	}
}

// promote makes s dense and sets a register.
func (s *Sketch) promote(index int, rank byte) (changed bool, err error) {
	if err := s.MakeDense(); err != nil {
		return false, err
	}
	return s.setDense(index, rank), nil
}
