package rdbtest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/lockstepkv/lockstep/store"
	"github.com/lockstepkv/lockstep/store/value/list"
)

// PutList puts a list as it would be after an RPUSH.
func PutList(s *store.Store, key string, expireAt int64, elements ...string) {
	l, lim := list.New(), list.DefaultLimits()
	for _, e := range elements {
		l.Reserve(lim, 1, len(e))
		l.PushBack([]byte(e))
	}
	s.PutCollection([]byte(key), l, expireAt)
}

// FillLists puts lists of both forms, and strings between them.
func FillLists(s *store.Store) {
	s.Advance(Now)
	tricky := []string{"", "0", "-0", "00", "-1", "127", "-128", "128", "4095", "4096", "-4096", "-4097", "32767", "32768", "-32768", "-32769", "8388607",
		"8388608", "-8388608", "-8388609", "2147483647", "2147483648", "-2147483648", "-2147483649", "9223372036854775807", "-9223372036854775808",
		"9223372036854775808", "\x00\xff", "é", strings.Repeat("a", 63), strings.Repeat("b", 64), strings.Repeat("c", 126)}
	long := []string{strings.Repeat("d", 4095), strings.Repeat("e", 4096), strings.Repeat("f", 8192), strings.Repeat("g", 16377), strings.Repeat("h", 16378),
		strings.Repeat("long", 200_000), "last"}
	PutList(s, "list, packed", 0, tricky...)
	PutList(s, "list, of one", Now+1000, "")
	PutList(s, "list, large by length", Now+2000, append(tricky, long...)...)
	PutList(s, "list, large by number", 0, strings.Split(strings.Repeat("7 element ", 5000), " ")...)
	PutList(s, "list, small but large", 0, tricky...)
	s.UpdateList(s.Get([]byte("list, small but large")), func(l *list.List) bool {
		l.Grow()
		return true
	})
	Fill(s, 10, 20)
}

// ListsOf has the lists of a store.
func ListsOf(s *store.Store) map[string][]string {
	all := map[string][]string{}
	s.Each(func(e *store.Entry) bool {
		if e.List() != nil {
			all[strings.Clone(e.Key())] = listOf(e)
		}
		return true
	})
	return all
}

// listOf has the elements of a list; nil for what is none.
func listOf(e *store.Entry) (elements []string) {
	if l := e.List(); l != nil {
		l.Forward(0, func(p []byte) bool {
			elements = append(elements, string(p))
			return true
		})
	}
	return elements
}

// replayList runs a command on a list.
func replayList(list []string, c [][]byte) []string {
	args := make([]string, len(c))
	for i := range c {
		args[i] = string(c[i])
	}
	at := func(i int) (n int) {
		fmt.Sscan(args[i], &n)
		return n
	}
	count := func() int {
		if len(args) > 2 {
			return at(2)
		}
		return 1
	}
	list = slices.Clone(list)
	switch args[0] {
	case "RPUSH":
		return append(list, args[2:]...)
	case "LPUSH":
		slices.Reverse(args[2:])
		return append(args[2:], list...)
	case "LPOP":
		return list[count():]
	case "RPOP":
		return list[:len(list)-count()]
	case "LSET":
		list[at(2)] = args[3]
	case "LTRIM":
		return list[at(2) : at(3)+1]
	case "LINSERT":
		i := slices.Index(list, args[3])
		if args[2] == "AFTER" {
			i++
		}
		return slices.Insert(list, i, args[4])
	case "LREM":
		return replayLRem(list, at(2), args[3])
	}
	return list
}

func replayLRem(list []string, count int, element string) []string {
	if count < 0 {
		slices.Reverse(list)
		list = replayLRem(list, -count, element)
		slices.Reverse(list)
		return list
	}
	removed := 0
	return slices.DeleteFunc(list, func(e string) bool {
		if e == element && (count == 0 || removed < count) {
			removed++
			return true
		}
		return false
	})
}

// SameLists fails the test unless both are the same.
func SameLists(t *testing.T, got, want map[string][]string) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%d lists, want %d", len(got), len(want))
	}
	for k, w := range want {
		if !slices.Equal(got[k], w) {
			t.Errorf("list %q: %d elements differ from %d", k, len(got[k]), len(w))
		}
	}
}

// RedisLists reads all lists of a server.
func RedisLists(t *testing.T, c *redis.Client) map[string][]string {
	t.Helper()
	ctx := context.Background()
	all := map[string][]string{}
	for _, key := range c.Keys(ctx, "*").Val() {
		if c.Type(ctx, key).Val() == "list" {
			elements, err := c.LRange(ctx, key, 0, -1).Result()
			if err != nil {
				t.Fatal(fmt.Errorf("%s: %w", key, err))
			}
			all[key] = elements
		}
	}
	return all
}
