package rdb

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lockstepkv/lockstep/snapshot/rdbtest"
	"github.com/lockstepkv/lockstep/store"
	"github.com/lockstepkv/lockstep/store/value/hash"
	"github.com/redis/go-redis/v9"
	"pgregory.net/rapid"
)

func TestHashesRoundTrip(t *testing.T) {
	s := store.New(store.DefaultOptions())
	rdbtest.FillHashes(s)
	got, _, err := Read(bytes.NewReader(encode(t, s, nil, WriteOptions{})), store.DefaultOptions())
	if err != nil {
		t.Fatal(err)
	}
	sameStore(t, got, s)
	rdbtest.SameHashes(t, rdbtest.HashesOf(got), rdbtest.HashesOf(s))
	if got.Sum() != s.Sum() {
		t.Error("the sums differ")
	}
	for key, packed := range map[string]bool{"packed": true, "packed by other limits": true, "large by length": false, "large, later small": false} {
		if got.Get([]byte(key)).Hash().Packed() != packed {
			t.Errorf("%s: packed %v", key, !packed)
		}
	}
}

// TestScanGivesNoHashUnasked: who knows strings only would take it for an empty one.
func TestScanGivesNoHashUnasked(t *testing.T) {
	s := store.New(store.DefaultOptions())
	rdbtest.FillHashes(s)
	file := encode(t, s, nil, WriteOptions{})
	hashes := func(ro ReadOptions) (n int, err error) {
		_, err = Scan(bytes.NewReader(file), ro, func(it store.Item) error {
			if it.Collection != nil {
				n++
			}
			return nil
		})
		return n, err
	}
	if n, err := hashes(ReadOptions{}); n != 0 || !errors.Is(err, ErrUnsupported) {
		t.Errorf("%d hashes, %v", n, err)
	}
	if n, err := hashes(ReadOptions{Packed: new(store.Limits)}); n != len(rdbtest.HashesOf(s)) || err != nil {
		t.Errorf("%d hashes, %v", n, err)
	}
}

func TestRoundTripPropertyOfHashes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := store.New(store.DefaultOptions())
		for i := range rapid.IntRange(0, 5).Draw(t, "keys") {
			h := hash.New()
			lim := hash.Limits{Fields: rapid.IntRange(0, 100).Draw(t, "fields"), Bytes: rapid.IntRange(0, 100).Draw(t, "bytes")}
			h.Set([]byte("first"), nil, lim)
			for range rapid.IntRange(0, 100).Draw(t, "n") {
				field := rapid.OneOf(rapid.String(), rapid.StringMatching(`-?[0-9]{1,11}`)).Draw(t, "field")
				h.Set([]byte(field), rapid.SliceOfN(rapid.Byte(), 0, 120).Draw(t, "value"), lim)
			}
			s.PutCollection(fmt.Append(nil, i), h, rapid.Int64Range(0, 5).Draw(t, "at"))
		}
		sn := s.Freeze()
		defer sn.Release()
		var b bytes.Buffer
		if err := Write(&b, sn, nil, testNow); err != nil {
			t.Fatal(err)
		}
		got, _, err := Read(&b, store.DefaultOptions())
		if err != nil {
			t.Fatal(err)
		}
		if got.Digest() != s.Digest() || got.Sum() != s.Sum() || got.Used() != s.Used() {
			t.Fatal("not the same")
		}
	})
}

func TestRedisLoadsOurHashes(t *testing.T) {
	s := store.New(store.DefaultOptions())
	rdbtest.FillHashes(s)
	dir := t.TempDir()
	file := filepath.Join(dir, "dump.rdb")
	rdbtest.WriteFile(t, file, encode(t, s, nil, WriteOptions{NowMillis: testNow}))
	if out := rdbtest.Check(t, "redis-check-rdb", file); !strings.Contains(out, "RDB looks OK") || !strings.Contains(out, "Checksum OK") {
		t.Errorf("redis-check-rdb says:\n%s", out)
	}
	c, _ := rdbtest.StartRedis(t, dir, "--sanitize-dump-payload", "yes")
	rdbtest.SameHashes(t, rdbtest.RedisHashes(t, c), rdbtest.HashesOf(s))
	ctx := context.Background()
	if at := c.PExpireTime(ctx, "large by length").Val().Milliseconds(); at != testNow+1000 {
		t.Errorf("expires at %d", at)
	}

	// The same hashes made by commands have the same digests.
	want := map[string]string{}
	keys := c.Keys(ctx, "*").Val()
	for _, key := range keys {
		want[key] = debugDigest(t, c, key)
	}
	c.FlushAll(ctx)
	for key, fields := range rdbtest.HashesOf(s) {
		for field, value := range fields {
			c.HSet(ctx, key, field, value)
		}
		if got := debugDigest(t, c, key); got != want[key] && s.Get([]byte(key)).ExpireAt() == 0 {
			t.Errorf("%s: Redis's digest is %s, want %s", key, got, want[key])
		}
	}
}

func debugDigest(t *testing.T, c *redis.Client, key string) string {
	t.Helper()
	v, err := c.Do(context.Background(), "DEBUG", "DIGEST-VALUE", key).StringSlice()
	if err != nil || len(v) != 1 {
		t.Fatalf("DEBUG DIGEST-VALUE: %q, %v", v, err)
	}
	return v[0]
}

func TestReadsHashesOfRedis(t *testing.T) {
	ctx := context.Background()
	for _, args := range [][]string{
		{"--rdbcompression", "yes"},
		{"--rdbcompression", "no"},
		{"--hash-max-listpack-entries", "100000", "--hash-max-listpack-value", "100000"},
		{"--hash-max-listpack-entries", "0"},
	} {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			ours := store.New(store.DefaultOptions())
			rdbtest.FillHashes(ours)
			dir := t.TempDir()
			c, stop := rdbtest.StartRedis(t, dir, args...)
			for key, fields := range rdbtest.HashesOf(ours) {
				for field, value := range fields {
					c.HSet(ctx, key, field, value)
				}
			}
			// Elements whose length just needs, or just does not need, a byte more.
			for _, n := range []int{10, 63, 64, 65, 122, 123, 124, 125, 126, 4090, 4095, 4096, 16375, 16376, 16377, 16378, 16379, 16380, 70_000} {
				c.HSet(ctx, "lengths", fmt.Sprint("f", n), strings.Repeat("l", n))
			}
			encoding := map[string]string{}
			for _, key := range c.Keys(ctx, "*").Val() {
				encoding[key] = c.ObjectEncoding(ctx, key).Val()
			}
			want := rdbtest.RedisHashes(t, c)
			if err := c.Save(ctx).Err(); err != nil {
				t.Fatal(err)
			}
			stop()
			data, err := os.ReadFile(filepath.Join(dir, "dump.rdb"))
			if err != nil {
				t.Fatal(err)
			}
			if _, _, err := Read(bytes.NewReader(data), store.DefaultOptions()); !errors.Is(err, ErrUnsupported) {
				t.Errorf("hashes are let in unasked: %v", err)
			}
			lim := hash.DefaultLimits()
			got, _, err := ReadWith(bytes.NewReader(data), store.DefaultOptions(), ReadOptions{Packed: hashLimits(lim)})
			if err != nil {
				t.Fatal(err)
			}
			rdbtest.SameHashes(t, rdbtest.HashesOf(got), want)
			if len(args) == 2 && args[0] == "--rdbcompression" { // Redis had our limits
				for key, e := range encoding {
					if packed := got.Get([]byte(key)).Hash().Packed(); packed != (e == "listpack") && key != "large, later small" {
						t.Errorf("%s: packed %v, in Redis %s", key, packed, e)
					}
				}
			}
		})
	}
}

// ziplist returns what Redis up to 6.2 saved for a small collection.
func ziplist(elements ...string) []byte {
	block := make([]byte, ziplistHeader)
	before, last := 0, ziplistHeader
	for _, e := range elements {
		last = len(block)
		if before < 0xfe {
			block = append(block, byte(before))
		} else {
			block = append(block, 0xfe, byte(before), byte(before>>8), byte(before>>16), byte(before>>24))
		}
		block = appendZiplistData(block, e)
		before = len(block) - last
	}
	block = append(block, packEnd)
	for i := range 4 {
		block[i], block[4+i] = byte(len(block)>>(8*i)), byte(last>>(8*i))
	}
	block[8], block[9] = byte(len(elements)), byte(len(elements)>>8)
	return block
}

func appendZiplistData(block []byte, e string) []byte {
	var v int64
	_, err := fmt.Sscanf(e, "%d", &v)
	little := func(head byte, n int) []byte {
		block = append(block, head)
		for i := range n {
			block = append(block, byte(v>>(8*i)))
		}
		return block
	}
	switch {
	case err != nil || fmt.Sprint(v) != e:
	case v >= 0 && v <= 12:
		return append(block, 0xf1+byte(v))
	case v == int64(int8(v)):
		return little(0xfe, 1)
	case v == int64(int16(v)):
		return little(0xc0, 2)
	case v == v<<40>>40:
		return little(0xf0, 3)
	case v == int64(int32(v)):
		return little(0xd0, 4)
	default:
		return little(0xe0, 8)
	}
	switch n := len(e); {
	case n < 1<<6:
		block = append(block, byte(n))
	case n < 1<<14:
		block = append(block, 0x40|byte(n>>8), byte(n))
	default:
		block = append(block, 0x80, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
	}
	return append(block, e...)
}

// rdbOf returns a file of Redis 6 with one key.
func rdbOf(t byte, key string, block []byte) []byte {
	var b bytes.Buffer
	e := newEncoder(&b)
	e.raw([]byte("REDIS0009"))
	e.byte(opSelectDB)
	e.length(0)
	e.byte(t)
	e.key(key)
	e.length(uint64(len(block)))
	e.raw(block)
	if err := e.finish(); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// TestReadsZiplistsOfRedis: redis-server 7 writes none any more, but it reads them,
// and must read the same.
func TestReadsZiplistsOfRedis(t *testing.T) {
	elements := []string{"text", "", "0", "12", "13", "-1", "-128", "127", "-129", "255", "32767", "-32768", "32768", "8388607", "-8388608",
		"8388608", "2147483647", "-2147483648", "2147483648", "-9223372036854775808", strings.Repeat("a", 63), strings.Repeat("b", 64),
		strings.Repeat("c", 300), strings.Repeat("d", 16383), strings.Repeat("e", 16384), "last"}
	file := rdbOf(typeHashZiplist, "h", ziplist(elements...))
	lim := hash.DefaultLimits()
	s, _, err := ReadWith(bytes.NewReader(file), store.DefaultOptions(), ReadOptions{Packed: hashLimits(lim)})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	rdbtest.WriteFile(t, filepath.Join(dir, "dump.rdb"), file)
	c, _ := rdbtest.StartRedis(t, dir, "--sanitize-dump-payload", "yes")
	want := rdbtest.RedisHashes(t, c)
	if len(want["h"]) != len(elements)/2 {
		t.Fatalf("Redis reads %d fields", len(want["h"]))
	}
	rdbtest.SameHashes(t, rdbtest.HashesOf(s), want)
}

func TestDamagedHashes(t *testing.T) {
	lim := hash.DefaultLimits()
	twice := func(elements ...string) []byte { return rdbOf(typeHashZiplist, "h", ziplist(elements...)) }
	for want, file := range map[string][]byte{
		`field "a" of key "h" comes twice`:         twice("a", "1", "a", "2"),
		"the last field of key \"h\" has no value": twice("a", "1", "b"),
		"is a hash without fields":                 twice(),
		"a ziplist of 3 bytes":                     rdbOf(typeHashZiplist, "h", []byte("abc")),
		"a listpack of 3 bytes":                    rdbOf(typeHashListpack, "h", []byte("abc")),
		"a block speaks of 9 elements, and has 2":  rdbOf(typeHashListpack, "h", []byte("\x0b\x00\x00\x00\x09\x00\x01\x01\x02\x01\xff")),
		"has 1 bytes, and says 2 at its end":       rdbOf(typeHashListpack, "h", []byte("\x0b\x00\x00\x00\x02\x00\x01\x02\x02\x01\xff")),
		"a block without its end":                  rdbOf(typeHashListpack, "h", []byte("\x0a\x00\x00\x00\x02\x00\x01\x01\x02\x01")),
		"an element is longer than its block":      rdbOf(typeHashListpack, "h", []byte("\x0c\x00\x00\x00\x02\x00\xf0\xff\xff\xff\xff\xff")),
		"unknown encoding 0xf7":                    rdbOf(typeHashListpack, "h", []byte("\x08\x00\x00\x00\x02\x00\xf7\xff")),
	} {
		_, _, err := ReadWith(bytes.NewReader(file), store.DefaultOptions(), ReadOptions{Packed: hashLimits(lim)})
		if !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestEveryFlippedBitOfHashesIsFound(t *testing.T) {
	s := store.New(store.DefaultOptions())
	rdbtest.PutHash(s, "packed", hash.DefaultLimits(), 0, "1", "two", "")
	rdbtest.PutHash(s, "large", hash.Limits{}, 5, "1", "two")
	file := encode(t, s, nil, WriteOptions{})
	for i := range file {
		for bit := range 8 {
			bad := bytes.Clone(file)
			bad[i] ^= 1 << bit
			mustFail(t, bad, "flipped bit", i)
		}
		mustFail(t, file[:i], "cut", i)
	}
}

func TestUnsoundHashIsNotWritten(t *testing.T) {
	s := store.New(store.DefaultOptions())
	rdbtest.PutHash(s, "k", hash.DefaultLimits(), 0, "value")
	value, _ := s.Get([]byte("k")).Hash().Get([]byte("f0"))
	value[2] ^= 4 // memory that changes by itself
	sn := s.Freeze()
	defer sn.Release()
	if err := Write(new(bytes.Buffer), sn, nil, testNow); !errors.Is(err, ErrUnsound) {
		t.Fatalf("got %v", err)
	}
}

// FuzzPacked reads blocks of Redis, whatever is in them.
func FuzzPacked(f *testing.F) {
	f.Add(ziplist("a", "1", "b", "-70000", "", strings.Repeat("x", 300)), true)
	f.Add([]byte("\x0b\x00\x00\x00\x02\x00\x01\x01\x02\x01\xff"), false)
	f.Add([]byte("\x12\x00\x00\x00\x02\x00\xc1\x00\x02\x82ab\x03\xf1\x01\x02\x03\x01\xff"), false)
	f.Fuzz(func(t *testing.T, block []byte, isZiplist bool) {
		each := eachInListpack
		if isZiplist {
			each = eachInZiplist
		}
		total, n := 0, 0
		err := each(block, func(p []byte) error {
			total, n = total+len(p), n+1
			return nil
		})
		if n > len(block) || total > 20*n+len(block) {
			t.Fatalf("%d elements of %d bytes from %d", n, total, len(block))
		}
		if err != nil && !errors.Is(err, ErrDamaged) {
			t.Fatal(err)
		}
	})
}

// hashLimits are limits with those of hashes.
func hashLimits(lim hash.Limits) *store.Limits {
	all := store.DefaultLimits()
	all[store.HashEntries], all[store.HashValue] = int64(lim.Fields), int64(lim.Bytes)
	return &all
}
