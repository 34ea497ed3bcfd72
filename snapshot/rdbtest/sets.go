package rdbtest

import (
	"strconv"
	"strings"

	"github.com/lockstepkv/lockstep/store"
	"github.com/lockstepkv/lockstep/store/value/set"
)

// PutSet puts a set.
func PutSet(s *store.Store, key string, lim set.Limits, expireAt int64, members ...string) {
	v := set.New([]byte(members[0]), len(members), lim)
	for _, m := range members {
		v.Add([]byte(m), lim)
	}
	s.PutCollection([]byte(key), v, expireAt)
}

// FillSets puts sets of all forms.
func FillSets(s *store.Store) {
	s.Advance(Now)
	lim := set.DefaultLimits()
	numbers := func(n int, by int64) (list []string) {
		for i := range n {
			list = append(list, strconv.FormatInt((int64(i)-int64(n)/2)*by, 10))
		}
		return list
	}
	PutSet(s, "one", lim, 0, "7")
	PutSet(s, "ints of 2", lim, Now+1000, numbers(100, 3)...)
	PutSet(s, "ints of 4", lim, 0, numbers(512, 70_000)...)
	PutSet(s, "ints of 8", lim, 0, numbers(10, 1<<40)...)
	PutSet(s, "once of 8", lim, 0, "1", "2", "9223372036854775807", "-9223372036854775808")
	s.UpdateSet(s.Get([]byte("once of 8")), func(v *set.Set) bool {
		return v.Remove([]byte("9223372036854775807")) && v.Remove([]byte("-9223372036854775808"))
	})
	PutSet(s, "many ints", lim, 0, numbers(3000, 1)...)
	PutSet(s, "packed", lim, Now+2000, "b", "a", "", "12", "-0", "\x00\xff", strings.Repeat("x", 64))
	PutSet(s, "packed, later ints", lim, 0, "1", "2", "a")
	s.UpdateSet(s.Get([]byte("packed, later ints")), func(v *set.Set) bool { return v.Remove([]byte("a")) })
	PutSet(s, "large by length", lim, 0, "a", strings.Repeat("x", 65), strings.Repeat("y", 20_000))
	PutSet(s, "large by number", lim, 0, append(numbers(200, 1), "text")...)
	PutSet(s, "packed by other limits", set.Limits{Ints: 5, Members: 900, Bytes: 1000}, 0, append([]string{strings.Repeat("z", 700)}, numbers(800, 1)...)...)
	PutSet(s, "ints by other limits", set.Limits{Ints: 5000}, 0, numbers(4000, 1)...)
	Fill(s, 5, 20)
}
