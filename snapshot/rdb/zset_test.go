package rdb

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lockstepkv/lockstep/snapshot/rdbtest"
	"github.com/lockstepkv/lockstep/store"
	"github.com/lockstepkv/lockstep/store/value/zset"
	"pgregory.net/rapid"
)

func TestZSetsRoundTrip(t *testing.T) {
	s := store.New(store.DefaultOptions())
	rdbtest.FillZSets(s)
	got, _, err := Read(bytes.NewReader(encode(t, s, nil, WriteOptions{})), store.DefaultOptions())
	if err != nil {
		t.Fatal(err)
	}
	sameStore(t, got, s)
	rdbtest.SameZSets(t, rdbtest.ZSetsOf(got), rdbtest.ZSetsOf(s))
	if got.Sum() != s.Sum() {
		t.Error("the sums differ")
	}
	for key, packed := range map[string]bool{"packed": true, "packed by other limits": true, "large by length": false, "large, later small": false} {
		if got.Get([]byte(key)).ZSet().Packed() != packed {
			t.Errorf("%s: packed %v", key, !packed)
		}
	}
}

func TestRoundTripPropertyOfZSets(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := store.New(store.DefaultOptions())
		for i := range rapid.IntRange(0, 5).Draw(t, "keys") {
			z := zset.New()
			lim := zset.Limits{Members: rapid.IntRange(0, 100).Draw(t, "members"), Bytes: rapid.IntRange(0, 100).Draw(t, "bytes")}
			z.Add([]byte("first"), 0, lim)
			for range rapid.IntRange(0, 100).Draw(t, "n") {
				member := rapid.OneOf(rapid.String(), rapid.StringMatching(`-?[0-9]{1,11}`)).Draw(t, "member")
				z.Add([]byte(member), rapid.OneOf(rapid.Float64(), rapid.SampledFrom(rdbtest.Scores())).Draw(t, "score"), lim)
			}
			s.PutCollection(fmt.Append(nil, i), z, rapid.Int64Range(0, 5).Draw(t, "at"))
		}
		got, _, err := Read(bytes.NewReader(encodeRapid(t, s)), store.DefaultOptions())
		if err != nil {
			t.Fatal(err)
		}
		if got.Digest() != s.Digest() || got.Sum() != s.Sum() || got.Used() != s.Used() {
			t.Fatal("not the same")
		}
	})
}

func encodeRapid(t *rapid.T, s *store.Store) []byte {
	sn := s.Freeze()
	defer sn.Release()
	var b bytes.Buffer
	if err := Write(&b, sn, nil, testNow); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestRedisLoadsOurZSets(t *testing.T) {
	s := store.New(store.DefaultOptions())
	rdbtest.FillZSets(s)
	dir := t.TempDir()
	file := filepath.Join(dir, "dump.rdb")
	rdbtest.WriteFile(t, file, encode(t, s, nil, WriteOptions{NowMillis: testNow}))
	if out := rdbtest.Check(t, "redis-check-rdb", file); !strings.Contains(out, "RDB looks OK") || !strings.Contains(out, "Checksum OK") {
		t.Errorf("redis-check-rdb says:\n%s", out)
	}
	c, _ := rdbtest.StartRedis(t, dir, "--sanitize-dump-payload", "yes")
	want := rdbtest.ZSetsOf(s)
	rdbtest.SameZSets(t, rdbtest.RedisZSets(t, c), want)

	// The same sorted sets made by commands have the same digests.
	ctx := context.Background()
	digests := map[string]string{}
	for key := range want {
		digests[key] = debugDigest(t, c, key)
	}
	c.FlushAll(ctx)
	c.ConfigSet(ctx, "zset-max-listpack-entries", "0") // a listpack has no -0
	rdbtest.FillRedisZSets(t, c, want)
	for key := range want {
		if got := debugDigest(t, c, key); got != digests[key] && s.Get([]byte(key)).ExpireAt() == 0 {
			t.Errorf("%s: Redis's digest is %s, want %s", key, got, digests[key])
		}
	}
}

func TestReadsZSetsOfRedis(t *testing.T) {
	ctx := context.Background()
	for _, args := range [][]string{
		{"--rdbcompression", "yes"},
		{"--rdbcompression", "no"},
		{"--zset-max-listpack-entries", "100000", "--zset-max-listpack-value", "100000"},
		{"--zset-max-listpack-entries", "0"},
	} {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			ours := store.New(store.DefaultOptions())
			rdbtest.FillZSets(ours)
			dir := t.TempDir()
			c, stop := rdbtest.StartRedis(t, dir, args...)
			rdbtest.FillRedisZSets(t, c, rdbtest.ZSetsOf(ours))
			encoding, dumps := map[string]string{}, map[string]string{}
			for _, key := range c.Keys(ctx, "*").Val() {
				encoding[key], dumps[key] = c.ObjectEncoding(ctx, key).Val(), c.Dump(ctx, key).Val()
			}
			want := rdbtest.RedisZSets(t, c)
			for key, dump := range dumps { // both ways
				e := restored(t, store.New(store.DefaultOptions()), key, []byte(dump))
				if err := c.RestoreReplace(ctx, key, 0, string(dumpOf(t, e))).Err(); err != nil {
					t.Errorf("%s: Redis does not restore it: %v", key, err)
				}
			}
			rdbtest.SameZSets(t, rdbtest.RedisZSets(t, c), want)
			if err := c.Save(ctx).Err(); err != nil {
				t.Fatal(err)
			}
			stop()
			data, err := os.ReadFile(filepath.Join(dir, "dump.rdb"))
			if err != nil {
				t.Fatal(err)
			}
			if _, _, err := Read(bytes.NewReader(data), store.DefaultOptions()); !errors.Is(err, ErrUnsupported) {
				t.Errorf("sorted sets are let in unasked: %v", err)
			}
			lim := redisLimits()
			got, _, err := ReadWith(bytes.NewReader(data), store.DefaultOptions(), ReadOptions{Packed: lim})
			if err != nil {
				t.Fatal(err)
			}
			rdbtest.SameZSets(t, rdbtest.ZSetsOf(got), want)
			if len(args) == 2 && args[0] == "--rdbcompression" { // Redis had our limits
				for key, e := range encoding {
					if got.Get([]byte(key)).ZSet().Encoding() != e {
						t.Errorf("%s: in Redis %s", key, e)
					}
				}
			}
		})
	}
}

// TestReadsOldZSetsOfRedis: redis-server 7 writes neither of these forms, but it reads them.
func TestReadsOldZSetsOfRedis(t *testing.T) {
	lim := redisLimits()
	elements := []string{"a", "-inf", "b", "-2.5", "12", "0", "c", "3", "d", "3.1400000000000001", "e", "1e+100", "f", "inf"}
	text := []byte{}
	for i := 0; i < len(elements); i += 2 {
		text = append(append(text, byte(len(elements[i]))), elements[i]...)
		switch score := elements[i+1]; score {
		case "inf":
			text = append(text, scoreInfinity)
		case "-inf":
			text = append(text, scoreNegInfinity)
		default:
			text = append(append(text, byte(len(score))), score...)
		}
	}
	for _, file := range [][]byte{rdbOf(typeZSetZiplist, "z", ziplist(elements...)), rdbOf(typeZSetText, "z", nil)} {
		if file[11] == typeZSetText {
			file = textFile(text, len(elements)/2)
		}
		s, _, err := ReadWith(bytes.NewReader(file), store.DefaultOptions(), ReadOptions{Packed: lim})
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		rdbtest.WriteFile(t, filepath.Join(dir, "dump.rdb"), file)
		c, _ := rdbtest.StartRedis(t, dir, "--sanitize-dump-payload", "yes")
		want := rdbtest.RedisZSets(t, c)
		if len(want["z"]) != len(elements)/2 {
			t.Fatalf("Redis reads %d members", len(want["z"]))
		}
		rdbtest.SameZSets(t, rdbtest.ZSetsOf(s), want)
	}
}

// textFile is a file of Redis 3 with one sorted set.
func textFile(pairs []byte, n int) []byte {
	var b bytes.Buffer
	e := newEncoder(&b)
	e.raw([]byte("REDIS0006"))
	e.byte(opSelectDB)
	e.length(0)
	e.byte(typeZSetText)
	e.key("z")
	e.length(uint64(n))
	e.raw(pairs)
	if err := e.finish(); err != nil {
		panic(err)
	}
	return b.Bytes()
}

func TestDamagedZSets(t *testing.T) {
	lim := redisLimits()
	of := func(elements ...string) []byte { return rdbOf(typeZSetZiplist, "z", ziplist(elements...)) }
	nan := append([]byte{typeZSet, 1, 1, 'm'}, bytes.Repeat([]byte{0xff}, 8)...)
	for want, file := range map[string][]byte{
		`member "a" of key "z" comes twice`:         of("a", "1", "a", "2"),
		"the last member of key \"z\" has no score": of("a", "1", "b"),
		"is a sorted set without members":           of(),
		`"x" is no score`:                           of("a", "x"),
		"has a score that is not a number":          of("a", "nan"),
		"a listpack of 3 bytes":                     rdbOf(typeZSetListpack, "z", []byte("abc")),
	} {
		_, _, err := ReadWith(bytes.NewReader(file), store.DefaultOptions(), ReadOptions{Packed: lim})
		if !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	if _, err := ReadDump(signed(nan), lim, 1<<20); !errors.Is(err, ErrDamaged) {
		t.Errorf("NaN: %v", err)
	}
}

func TestUnsoundZSetIsNotWritten(t *testing.T) {
	s := store.New(store.DefaultOptions())
	z := zset.NewLarge()
	z.Add([]byte("member"), math.Pi, zset.DefaultLimits())
	s.PutCollection([]byte("k"), z, 0)
	member, _ := z.At(0)
	member[2] ^= 4 // memory that changes by itself
	sn := s.Freeze()
	defer sn.Release()
	if err := Write(new(bytes.Buffer), sn, nil, testNow); !errors.Is(err, ErrUnsound) {
		t.Fatalf("got %v", err)
	}
}

// TestDamagedZSetDumpsAsRedisReadsThem: what is let in is what Redis takes it for.
func TestDamagedZSetDumpsAsRedisReadsThem(t *testing.T) {
	ctx := context.Background()
	c, _ := rdbtest.StartRedis(t, t.TempDir(), "--sanitize-dump-payload", "yes")
	c.Do(ctx, "ZADD", "packed", 1.5, "a", 2, "some text", "-inf", "-70000")
	c.Do(ctx, "CONFIG", "SET", "zset-max-listpack-entries", 0)
	c.Do(ctx, "ZADD", "large", 1.5, "a", 2, "some text", "-inf", "-70000")
	for _, key := range []string{"packed", "large"} {
		dump := []byte(c.Dump(ctx, key).Val())
		body := dump[:len(dump)-dumpTrailer]
		for i := 1; i < len(body); i++ {
			for bit := range 8 {
				bad := bytes.Clone(body)
				bad[i] ^= 1 << bit
				it, err := ReadDump(signed(bad), redisLimits(), 1<<30)
				if err != nil {
					continue
				}
				what := fmt.Sprintf("%s, bit %d of byte %d", key, bit, i)
				if says := c.Do(ctx, "RESTORE", "k", 0, string(signed(bad)), "REPLACE").Err(); says != nil {
					t.Errorf("%s: Redis says %v", what, says)
					continue
				}
				s := store.New(store.DefaultOptions())
				s.PutCollection([]byte("k"), it.Collection, 0)
				if got, want := rdbtest.ZSetsOf(s)["k"], rdbtest.RedisZSets(t, c)["k"]; fmt.Sprint(got) != fmt.Sprint(want) {
					t.Errorf("%s: %v, Redis has %v", what, got, want)
				}
			}
		}
	}
}
