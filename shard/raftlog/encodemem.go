package raftlog

const (
	// keptEncoding bounds the memory for records that is kept: enough for the fragments of a large entry
	// that are written together.
	keptEncoding = 3 << 20
	// usualEncoding is kept always. What is larger goes after so many batches that did not need it.
	usualEncoding = 64 << 10
	idleEncodings = 64
)

// encodeMemory is where the records of a batch are encoded before they are written. It is used again for the
// next batch: else a large value leaves its size as garbage, on each node.
type encodeMemory struct {
	kept []byte
	free []byte // what is left of it for this batch
	idle int    // batches in a row that needed little
}

// begin readies the memory for a batch of size bytes.
func (m *encodeMemory) begin(size int) {
	if m.idle++; size > usualEncoding {
		m.idle = 0
	}
	if len(m.kept) > usualEncoding && m.idle >= idleEncodings {
		m.kept = nil
	}
	if size > len(m.kept) && size <= keptEncoding {
		m.kept = make([]byte, min(max(size, 2*len(m.kept)), keptEncoding))
	}
	m.free = m.kept
}

// take returns an empty slice with room for n bytes.
func (m *encodeMemory) take(n int) []byte {
	if n > len(m.free) {
		return make([]byte, 0, n)
	}
	b := m.free[:0:n]
	m.free = m.free[n:]
	return b
}
