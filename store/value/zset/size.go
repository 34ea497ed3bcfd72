package zset

// Accounting of Size. DESIGN.md shows where the figures come from.
const (
	// packedOverhead is charged for a packed set, largeOverhead for a large one.
	packedOverhead = 80
	largeOverhead  = 1024
	// memberOverhead is charged for every member of a large set, longOverhead besides when
	// it has an allocation of its own.
	memberOverhead = 32
	longOverhead   = 84
)

// Size returns the accounted bytes: in the packed form of the block with room to grow, in the large
// one of the lengths of all members and scores with what each of them costs.
func (c *contents) Size() int64 {
	if c.large != nil {
		return largeOverhead + c.large.members.Bytes
	}
	return packedOverhead + int64(len(c.buf)+len(c.buf)/8)
}

// memberBytes is what a member adds to Size in the large form.
func memberBytes(member, score int) int64 {
	n := memberOverhead + int64(score)
	if member > inlineMember {
		return n + longOverhead + int64(member)
	}
	return n + 2*int64(member+member/8)
}
