package command

import (
	"slices"

	"github.com/lockstepkv/lockstep/resp"
)

// Draw draws k of the numbers below n, each at most once and all sets of k equally likely,
// in ascending order. k is not above n.
func (c *Ctx) Draw(n, k int) []int {
	rng, drawn := c.Rand(), make([]int, 0, k)
	if k > n/8 { // Knuth, The Art of Computer Programming, 3.4.2, algorithm S
		for i := 0; len(drawn) < k; i++ {
			if rng.IntN(n-i) < k-len(drawn) {
				drawn = append(drawn, i)
			}
		}
		return drawn
	}
	taken := make(map[int]bool, k) // Floyd: Bentley, Programming Pearls: a sample of brilliance
	for i := n - k; i < n; i++ {
		r := rng.IntN(i + 1)
		if taken[r] {
			r = i
		}
		taken[r] = true
		drawn = append(drawn, r)
	}
	slices.Sort(drawn)
	return drawn
}

// errCountRange answers a count of which the opposite is no number.
const errCountRange = resp.Error("ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807")

// RandomCount reads the count of HRANDFIELD, SRANDMEMBER and ZRANDMEMBER. Below 0 it asks
// for so many of any elements, also the same ones again.
func RandomCount(b []byte) (count int64, err error) {
	if count, err = IntArg(b); err != nil {
		return 0, err
	}
	if count == -1<<63 {
		return 0, errCountRange
	}
	return count, nil
}
