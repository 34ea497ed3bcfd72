package command

import (
	"unsafe"

	"github.com/lockstepkv/lockstep/resp"
)

// Copies makes replies of bytes that change once the command has run: those of
// collections, which the next command changes in place. Many short ones share memory.
type Copies struct{ block []byte }

// The sizes of the blocks that a Copies fills.
const (
	firstBlock = 512
	lastBlock  = 32 << 10
)

// Bulk returns a bulk string with a copy of b.
func (c *Copies) Bulk(b []byte) resp.Value {
	if len(b) > cap(c.block)-len(c.block) {
		c.block = make([]byte, 0, max(len(b), min(max(2*cap(c.block), firstBlock), lastBlock)))
	}
	from := len(c.block)
	c.block = append(c.block, b...)
	return resp.Bulk(c.block[from:len(c.block):len(c.block)])
}

// view returns b as a string, which must not outlive it.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
