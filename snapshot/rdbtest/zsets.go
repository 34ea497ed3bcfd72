package rdbtest

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/lockstepkv/lockstep/store"
	"github.com/lockstepkv/lockstep/store/value/zset"
)

// Scores are some that are easily spoiled.
func Scores() []float64 {
	return []float64{0, 1, -1, 127, 4096, 1 << 31, 1 << 40, 1 << 53, 1 << 62, 1e18, 1e19, 0.1, 0.2, 1.0 / 3, -2.5e-7, 1e100,
		math.MaxFloat64, math.SmallestNonzeroFloat64, math.Inf(1), math.Inf(-1), math.Copysign(0, -1)}
}

// FillZSets puts sorted sets of both forms.
func FillZSets(s *store.Store) {
	s.Advance(Now)
	put := func(key string, lim zset.Limits, at int64, members ...string) {
		z, scores := zset.New(), Scores()
		for i, member := range members {
			z.Add([]byte(member), scores[i%len(scores)], lim)
		}
		s.PutCollection([]byte(key), z, at)
	}
	numbered := func(n int) (members []string) {
		for i := range n {
			members = append(members, fmt.Sprint(i*37))
		}
		return members
	}
	lim := zset.DefaultLimits()
	tricky := []string{"", "-0", "00", "-129", "é", "\x00\xff", strings.Repeat("a", 63), strings.Repeat("b", 64)}
	put("packed", lim, 0, append(numbered(50), tricky...)...)
	put("large by length", lim, Now+1000, append(tricky, strings.Repeat("c", 65), strings.Repeat("long", 20_000))...)
	put("large by number", lim, 0, numbered(5000)...)
	put("large, later small", lim, 0, numbered(300)...)
	s.UpdateZSet(s.Get([]byte("large, later small")), func(z *zset.ZSet) bool {
		z.RemoveRange(5, 300)
		return true
	})
	put("packed by other limits", zset.Limits{Members: 512, Bytes: 20_000}, 0, append(numbered(300), strings.Repeat("z", 10_000))...)
}

// ZSetsOf has the sorted sets of a store.
func ZSetsOf(s *store.Store) map[string]map[string]float64 {
	all := map[string]map[string]float64{}
	s.Each(func(e *store.Entry) bool {
		if z := e.ZSet(); z != nil {
			members := map[string]float64{}
			z.Ascend(0, func(member []byte, score float64) bool {
				members[string(member)] = score
				return true
			})
			all[strings.Clone(e.Key())] = members
		}
		return true
	})
	return all
}

// SameZSets fails the test unless both are the same, to the sign of 0.
func SameZSets(t *testing.T, got, want map[string]map[string]float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%d sorted sets, want %d", len(got), len(want))
	}
	for k, w := range want {
		if !maps.EqualFunc(got[k], w, func(a, b float64) bool { return math.Float64bits(a) == math.Float64bits(b) }) {
			t.Errorf("sorted set %q: %d members differ from %d", k, len(got[k]), len(w))
		}
	}
}

// RedisZSets reads all sorted sets of a server.
func RedisZSets(t *testing.T, c *redis.Client) map[string]map[string]float64 {
	t.Helper()
	ctx := context.Background()
	all := map[string]map[string]float64{}
	for _, key := range c.Keys(ctx, "*").Val() {
		if c.Type(ctx, key).Val() != "zset" {
			continue
		}
		list, err := c.ZRangeWithScores(ctx, key, 0, -1).Result()
		if err != nil {
			t.Fatal(err)
		}
		members := map[string]float64{}
		for _, z := range list {
			members[z.Member.(string)] = z.Score
		}
		all[key] = members
	}
	return all
}

// FillRedisZSets makes the same sorted sets by commands.
func FillRedisZSets(t *testing.T, c *redis.Client, sets map[string]map[string]float64) {
	t.Helper()
	for key, members := range sets {
		args := []any{"ZADD", key}
		for member, score := range members {
			args = append(args, string(zset.AppendText(nil, score)), member)
		}
		if err := c.Do(context.Background(), args...).Err(); err != nil {
			t.Fatal(err)
		}
	}
}

// membersOf has the members of a sorted set, with their scores as text.
func membersOf(z *zset.ZSet) map[string]string {
	members := map[string]string{}
	z.Ascend(0, func(member []byte, score float64) bool {
		members[string(member)] = string(zset.AppendText(nil, score))
		return true
	})
	return members
}

// removeRanks is ZREMRANGEBYRANK.
func removeRanks(t *testing.T, members map[string]string, from, to string) {
	t.Helper()
	first, err := strconv.Atoi(from)
	if err != nil {
		t.Fatal(err)
	}
	last, err := strconv.Atoi(to)
	if err != nil {
		t.Fatal(err)
	}
	score := func(member string) float64 {
		f, err := strconv.ParseFloat(members[member], 64)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	order := slices.SortedFunc(maps.Keys(members), func(a, b string) int {
		return cmp.Or(cmp.Compare(score(a), score(b)), strings.Compare(a, b))
	})
	for _, member := range order[first : last+1] {
		delete(members, member)
	}
}
