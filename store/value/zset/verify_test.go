package zset

import (
	"bytes"
	"fmt"
	"math"
)

// verify checks what must hold within a sorted set.
func (z *ZSet) verify() error {
	n, sum, size := 0, uint64(0), int64(0)
	var before []byte
	last := math.Inf(-1)
	var err error
	z.Ascend(0, func(member []byte, score float64) bool {
		if n > 0 && (score < last || score == last && bytes.Compare(member, before) <= 0) {
			err = fmt.Errorf("%q (%v) comes behind %q (%v)", member, score, before, last)
		}
		n, last, before = n+1, score, append(before[:0], member...)
		sum += elementSum(hashOf(member), score)
		size += memberBytes(len(member), len(appendScore(nil, score)))
		return err == nil
	})
	if err != nil {
		return err
	}
	if n != z.n || sum != z.sum || z.Resum() != sum {
		return fmt.Errorf("counts %d members with sum %x, has %d with %x (%x)", z.n, z.sum, n, sum, z.Resum())
	}
	if z.large == nil {
		if c := cap(z.buf); c > len(z.buf)*5/4+64 {
			return fmt.Errorf("a block of %d for %d bytes", c, len(z.buf))
		}
		return nil
	}
	if size != z.large.members.Bytes || z.large.members.Len() != n || z.large.scores.Len() != n {
		return fmt.Errorf("counts %d bytes, has %d; %d members, %d scores, %d of both", z.large.members.Bytes, size,
			z.large.members.Len(), z.large.scores.Len(), n)
	}
	if err := z.large.members.Verify(func(member, _ []byte) uint64 { return hashOf(member) }); err != nil {
		return err
	}
	return z.large.scores.Verify(func(member, _ []byte) uint64 {
		score, _ := z.large.score(member)
		return keyOf(score)
	})
}
