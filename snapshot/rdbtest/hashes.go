package rdbtest

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/lockstepkv/lockstep/store"
	"github.com/lockstepkv/lockstep/store/value/hash"
)

// PutHash puts a hash with fields f0, f1 and so on.
func PutHash(s *store.Store, key string, lim hash.Limits, expireAt int64, values ...string) {
	h := hash.New()
	for i, v := range values {
		h.Set(fmt.Appendf(nil, "f%d", i), []byte(v), lim)
	}
	s.PutCollection([]byte(key), h, expireAt)
}

// FillHashes puts hashes of both forms, and strings between them.
func FillHashes(s *store.Store) {
	s.Advance(Now)
	lim := hash.DefaultLimits()
	tricky := []string{"", "0", "-0", "00", "-1", "127", "-128", "128", "4095", "4096", "-4096", "-4097", "32768", "-32769", "8388607", "8388608",
		"-8388609", "2147483648", "-2147483649", "9223372036854775807", "9223372036854775808", "\x00\xff", "é", strings.Repeat("a", 63), strings.Repeat("b", 64)}
	PutHash(s, "packed", lim, 0, tricky...)
	PutHash(s, "large by length", lim, Now+1000, append(tricky, strings.Repeat("c", 65), strings.Repeat("long", 20_000))...)
	PutHash(s, "large by number", lim, 0, strings.Split(strings.Repeat("7 value ", 5000), " ")...)
	PutHash(s, "large, later small", lim, 0, strings.Split(strings.Repeat("x ", 600), " ")...)
	s.UpdateHash(s.Get([]byte("large, later small")), func(h *hash.Hash) bool {
		for i := range 590 {
			h.Delete(fmt.Appendf(nil, "f%d", i))
		}
		return true
	})
	PutHash(s, "packed by other limits", hash.Limits{Fields: 512, Bytes: 30_000}, 0, append(strings.Split(strings.Repeat("y ", 400), " "),
		strings.Repeat("z", 20_000))...)
	names := hash.New()
	for _, name := range append(tricky, strings.Repeat("name", 100)) {
		names.Set([]byte(name), []byte("value of "+name), lim)
	}
	s.PutCollection([]byte("names"), names, 0)
	Fill(s, 10, 20)
}

// HashesOf has the hashes of a store.
func HashesOf(s *store.Store) map[string]map[string]string {
	all := map[string]map[string]string{}
	s.Each(func(e *store.Entry) bool {
		if e.Hash() != nil {
			all[strings.Clone(e.Key())] = elements(e)
		}
		return true
	})
	return all
}

// SameHashes fails the test unless both are the same.
func SameHashes(t *testing.T, got, want map[string]map[string]string) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%d hashes, want %d", len(got), len(want))
	}
	for k, w := range want {
		if !maps.Equal(got[k], w) {
			t.Errorf("hash %q: %d fields differ from %d", k, len(got[k]), len(w))
		}
	}
}

// RedisHashes reads all hashes of a server.
func RedisHashes(t *testing.T, c *redis.Client) map[string]map[string]string {
	t.Helper()
	ctx := context.Background()
	all := map[string]map[string]string{}
	for _, key := range c.Keys(ctx, "*").Val() {
		if c.Type(ctx, key).Val() == "hash" {
			fields, err := c.HGetAll(ctx, key).Result()
			if err != nil {
				t.Fatal(err)
			}
			all[key] = fields
		}
	}
	return all
}
