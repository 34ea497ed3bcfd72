package hash

import "github.com/lockstepkv/lockstep/store/value/btree"

// What a hash costs beside its bytes, in the accounting of Size. DESIGN.md shows
// where the figures come from.
const (
	// packedOverhead is charged for a packed hash, largeOverhead for a large one.
	packedOverhead = 72
	largeOverhead  = 288
	// fieldOverhead is charged for every field of a large hash, longOverhead for
	// each name and value that has an allocation of its own.
	fieldOverhead = 15
	longOverhead  = 56
)

// inlineMax is the length up to which names and values lie in a leaf.
const inlineMax = btree.MaxInline

// Size returns the accounted bytes: in the packed form of the block, in the large
// one of the lengths of all names and values with what each of them costs.
func (c *contents) Size() int64 {
	if c.tree != nil {
		return largeOverhead + c.tree.Bytes
	}
	return packedOverhead + int64(len(c.buf)+len(c.buf)/8)
}

// fieldBytes is what a field adds to Size in the large form.
func fieldBytes(field, value int) int64 {
	return fieldOverhead + partBytes(field) + partBytes(value)
}

func partBytes(n int) int64 {
	if n > inlineMax {
		return int64(n+n/24) + longOverhead
	}
	return int64(n + n/6) // a leaf has room for fields to come
}
