package hash

import (
	"fmt"
)

// verify checks what must hold within a hash.
func (h *Hash) verify() error {
	n, sum, size := 0, uint64(0), int64(0)
	h.Each(func(field, value []byte) bool {
		n++
		sum += elementSum(hashOf(field), value)
		size += fieldBytes(len(field), len(value))
		return true
	})
	if n != h.n || sum != h.sum {
		return fmt.Errorf("counts %d fields with sum %x, has %d with %x", h.n, h.sum, n, sum)
	}
	if h.tree == nil {
		if c := cap(h.buf); c > len(h.buf)*5/4+64 {
			return fmt.Errorf("a block of %d for %d bytes", c, len(h.buf))
		}
		return nil
	}
	if size != h.tree.Bytes {
		return fmt.Errorf("counts %d bytes, has %d", h.tree.Bytes, size)
	}
	return h.tree.Verify(func(field, _ []byte) uint64 { return hashOf(field) })
}
