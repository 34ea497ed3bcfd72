package clientmem

import "math/bits"

// Sizes of Go's headers, for estimates.
const (
	SliceBytes = 24 // of a slice
	// MapKeyBytes is about what a map takes for each string in it, besides the string's bytes: its
	// header and a byte in a table that is between half and fully loaded.
	MapKeyBytes = 28

	pageBytes  = 8 << 10
	largeBytes = 32 << 10
)

// Alloc returns about what the allocator takes for an object of so many bytes.
func Alloc(bytes int) int64 {
	n := int64(bytes)
	switch {
	case n <= 0:
		return 0
	case n <= 24:
		return (n + 7) &^ 7
	case n <= 256:
		return (n + 15) &^ 15
	case n > largeBytes:
		return (n + pageBytes - 1) &^ (pageBytes - 1)
	}
	// Eight classes to a doubling.
	grain := int64(1) << (bits.Len64(uint64(n-1)) - 4)
	return (n + grain - 1) &^ (grain - 1)
}
