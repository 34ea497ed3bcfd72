package set

import "github.com/lockstepkv/lockstep/store/value/btree"

// What a set costs beside its bytes, in the accounting of Size.
const (
	// packedOverhead is charged for a set that is one block, largeOverhead for a large one.
	packedOverhead = 80
	largeOverhead  = 512
	// memberOverhead is charged for every member of a large set, longOverhead for one that
	// has an allocation of its own.
	memberOverhead = 15
	longOverhead   = 48
)

// Size returns the accounted bytes: of small sets of the block, of large ones of the lengths
// of all members with what each of them costs.
func (c *contents) Size() int64 {
	if c.tree != nil {
		return largeOverhead + c.tree.Bytes
	}
	return packedOverhead + int64(len(c.buf))
}

// memberBytes is what a member adds to Size in the large form.
func memberBytes(n int) int64 {
	if n > btree.MaxInline {
		return memberOverhead + int64(n) + longOverhead
	}
	return memberOverhead + int64(n+n/8) // a leaf has room for members to come
}
