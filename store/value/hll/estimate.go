package hll

import (
	"encoding/binary"
	"math"
)

// alpha is 1/(2 ln 2): that of infinitely many registers.
const alpha = 0.721347520444481703680

// Cached returns the cardinality that s says it has, unless that is out of date.
func (s *Sketch) Cached() (n uint64, ok bool) {
	return binary.LittleEndian.Uint64(s.b[cacheFlagAt-7:]), s.b[cacheFlagAt]&0x80 == 0
}

// Count estimates the cardinality of s.
func (s *Sketch) Count() (uint64, error) {
	var h histogram
	err := s.eachRun(func(_, n int, rank byte) { h[rank] += n })
	return h.estimate(), err
}

// Count estimates the cardinality of m.
func (m *Registers) Count() uint64 {
	var h histogram
	for _, rank := range m {
		h[rank]++
	}
	return h.estimate()
}

// histogram is how many registers have each rank.
type histogram [1 << registerBits]int

// estimate is Ertl's. Products are rounded before they are added, so that all processors come
// to the same.
func (h *histogram) estimate() uint64 {
	const m = float64(registers)
	z := m * tau((m-float64(h[rankBits+1]))/m)
	for rank := rankBits; rank >= 1; rank-- {
		z = (z + float64(h[rank])) * 0.5
	}
	z += float64(m * sigma(float64(h[0])/m))
	if n := math.Round(alpha * m * m / z); n < 1<<63 {
		return uint64(n)
	}
	return 1 << 63 // all registers are at their highest
}

func sigma(x float64) float64 {
	if x == 1 {
		return math.Inf(1)
	}
	y, z := 1.0, x
	for {
		x *= x
		was := z
		z += float64(x * y)
		y += y
		if z == was {
			return z
		}
	}
}

func tau(x float64) float64 {
	if x == 0 || x == 1 {
		return 0
	}
	y, z := 1.0, 1-x
	for {
		x = math.Sqrt(x)
		was := z
		y *= 0.5
		z -= float64(float64((1-x)*(1-x)) * y)
		if z == was {
			return z / 3
		}
	}
}

// murmur64A is Austin Appleby's MurmurHash64A, which reads little endian words, with Redis's seed.
func murmur64A(b []byte) uint64 {
	const (
		seed  = 0xadc83b19
		m     = 0xc6a4a7935bd1e995
		shift = 47
	)
	h := seed ^ uint64(len(b))*m
	for ; len(b) >= 8; b = b[8:] {
		k := binary.LittleEndian.Uint64(b) * m
		k ^= k >> shift
		h = (h ^ k*m) * m
	}
	if len(b) > 0 {
		var last [8]byte
		copy(last[:], b)
		h = (h ^ binary.LittleEndian.Uint64(last[:])) * m
	}
	h = (h ^ h>>shift) * m
	return h ^ h>>shift
}
