package bulk

// StepBytes is the most that is copied at once.
const StepBytes = 256 << 10

// populateBytes is how much memory one system call makes ready. The call takes
// the process's lock of its address space.
const populateBytes = 2 << 20

// populateFrom is the size from which that is worth a system call.
const populateFrom = 128 << 10

// Copy copies src to dst as copy does. They must not overlap unless dst begins
// before src.
func Copy(dst, src []byte) int {
	n := min(len(dst), len(src))
	if n < populateFrom {
		return copy(dst, src[:n])
	}
	dst, src = dst[:n], src[:n]
	for done := 0; done < n; {
		if done%populateBytes == 0 {
			populate(dst[done:min(done+populateBytes, n)])
		}
		done += copyStep(dst[done:], src[done:])
	}
	return n
}

// copyStep is kept a call of its own, whose entry is where the runtime can stop
// the goroutine.
//
//go:noinline
func copyStep(dst, src []byte) int {
	return copy(dst[:min(len(dst), StepBytes)], src)
}

// Append appends src to dst as append does. Memory that it must allocate is as
// large as is needed, no larger: it is meant for buffers that are done growing.
func Append(dst, src []byte) []byte {
	have, n := len(dst), len(dst)+len(src)
	if len(src) < populateFrom && (n <= cap(dst) || n < populateFrom) {
		return append(dst, src...)
	}
	if n > cap(dst) {
		grown := make([]byte, n)
		Copy(grown, dst)
		dst = grown
	}
	dst = dst[:n]
	Copy(dst[have:], src)
	return dst
}

// Ready makes the pages of b ready to be written, for those who fill b by other
// means than Copy: piece by piece, before each piece.
func Ready(b []byte) {
	for len(b) >= populateFrom {
		n := min(len(b), populateBytes)
		populate(b[:n])
		b = b[n:]
	}
}
