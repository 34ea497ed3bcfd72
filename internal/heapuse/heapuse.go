// Package heapuse measures memory in tests of decoders: a few bytes from a peer must
// not claim much of it.
package heapuse

import "runtime"

// slack is what any test may allocate besides: buffers, errors, the runtime's own.
const slack = 2 << 20

// Of returns how many bytes are allocated while fn runs, by all goroutines.
func Of(fn func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	fn()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// Exceeds runs fn, which decodes input bytes, and returns what it allocated when that
// is more than factor times the input, apart from a fixed slack; else 0.
func Exceeds(input, factor int, fn func()) uint64 {
	if used := Of(fn); used > slack+uint64(input)*uint64(factor) {
		return used
	}
	return 0
}
