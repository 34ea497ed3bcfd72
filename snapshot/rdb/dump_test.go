package rdb

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/lockstepkv/lockstep/snapshot/rdbtest"
	"github.com/lockstepkv/lockstep/store"
)

// restored puts what a dump holds into a store.
func restored(t testing.TB, s *store.Store, key string, dump []byte) *store.Entry {
	t.Helper()
	before := bytes.Clone(dump)
	it, err := ReadDump(dump, redisLimits(), 1<<30)
	if err != nil {
		t.Fatalf("%q: %v", key, err)
	}
	if !bytes.Equal(before, dump) {
		t.Fatalf("%q: reading a dump changed it", key)
	}
	it.Key = []byte(key)
	return s.Restore(it)
}

func dumpOf(t testing.TB, e *store.Entry) []byte {
	t.Helper()
	dump, err := AppendDump([]byte("before"), e)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.TrimPrefix(dump, []byte("before"))
}

// signed gives a body the trailer that fits.
func signed(body []byte) []byte {
	dump := binary.LittleEndian.AppendUint16(bytes.Clone(body), versionWritten)
	return binary.LittleEndian.AppendUint64(dump, crc64Update(0, dump))
}

// TestDumpsOfRedis: Lockstep reads what Redis dumps, and Redis restores what Lockstep
// dumps, strings and hashes of every encoding.
func TestDumpsOfRedis(t *testing.T) {
	ctx := context.Background()
	for _, compression := range []string{"yes", "no"} {
		c, _ := rdbtest.StartRedis(t, t.TempDir(), "--rdbcompression", compression, "--sanitize-dump-payload", "yes")
		fillRedis(t, c)
		fillRedisHashes(t, c)
		names, hashes := redisStrings(t, c), rdbtest.RedisHashes(t, c)
		s := store.New(store.DefaultOptions())
		for _, key := range c.Keys(ctx, "*").Val() {
			dump := c.Dump(ctx, key).Val()
			ours := dumpOf(t, restored(t, s, key, []byte(dump)))
			if err := c.Do(ctx, "RESTORE", key, 0, ours, "REPLACE").Err(); err != nil {
				t.Fatalf("%q: %v", key, err)
			}
		}
		rdbtest.SameHashes(t, rdbtest.HashesOf(s), hashes)
		rdbtest.SameHashes(t, rdbtest.RedisHashes(t, c), hashes)
		for key, value := range names {
			if got := string(s.Get([]byte(key)).Bytes()); got != value {
				t.Errorf("%.80q: %.80q from Redis", key, got)
			}
			if got := c.Get(ctx, key).Val(); got != value {
				t.Errorf("%.80q: %.80q in Redis", key, got)
			}
		}
	}
}

func redisStrings(t *testing.T, c *redis.Client) map[string]string {
	t.Helper()
	ctx := context.Background()
	all := map[string]string{}
	for _, key := range c.Keys(ctx, "*").Val() {
		if c.Type(ctx, key).Val() == "string" {
			all[key] = c.Get(ctx, key).Val()
		}
	}
	return all
}

// fillRedisHashes makes hashes that Redis keeps as listpacks and as tables.
func fillRedisHashes(t *testing.T, c *redis.Client) {
	t.Helper()
	pipe := c.Pipeline()
	for i, v := range []string{"", "0", "-1", "127", "-4096", "8388607", "-9223372036854775808", strings.Repeat("a", 64), "\x00\xff"} {
		pipe.HSet(context.Background(), "hash:packed", fmt.Sprint("f", i), v)
		pipe.HSet(context.Background(), "hash:large", v, strings.Repeat("b", 65+i*1000))
	}
	for i := range 200 {
		pipe.HSet(context.Background(), "hash:many", i, i*i)
	}
	if _, err := pipe.Exec(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// Other versions and other bytes are refused in the same way as Redis does. Redis does not look
// where the value ends: it reads on into the trailer, and leaves what stands before it.
func TestDumpTrailer(t *testing.T) {
	ctx := context.Background()
	c, _ := rdbtest.StartRedis(t, t.TempDir(), "--sanitize-dump-payload", "yes")
	good := signed([]byte("\x00\x05value"))
	newer := bytes.Clone(good)
	newer[len(newer)-dumpTrailer] = 99
	binary.LittleEndian.PutUint64(newer[len(newer)-TrailerLen:], crc64Update(0, newer[:len(newer)-TrailerLen]))
	older := bytes.Clone(good)
	older[len(older)-dumpTrailer] = 1
	binary.LittleEndian.PutUint64(older[len(older)-TrailerLen:], crc64Update(0, older[:len(older)-TrailerLen]))
	noSum := bytes.Clone(good)
	clear(noSum[len(noSum)-TrailerLen:])
	for name, c2 := range map[string]struct {
		dump []byte
		want error
	}{
		"good": {good, nil}, "older": {older, nil},
		"empty": {nil, ErrTrailer}, "short": {good[:9], ErrTrailer}, "cut": {good[:len(good)-1], ErrTrailer},
		"newer": {newer, ErrTrailer}, "without a sum": {noSum, ErrTrailer},
		"no value": {signed(nil), ErrDamaged}, "half a value": {signed([]byte("\x00\x05val")), ErrDamaged},
		"a stream": {signed([]byte("\x0f\x01\x01a")), ErrUnsupported}, "no members": {signed([]byte("\x02\x00")), ErrDamaged}, "no elements": {signed([]byte("\x01\x00")), ErrDamaged}, "no type": {signed([]byte("\x63")), ErrDamaged},
		"no fields": {signed([]byte("\x04\x00")), ErrDamaged}, "a field twice": {signed([]byte("\x04\x02\x01a\x01b\x01a\x01c")), ErrDamaged},
		"a huge length": {signed([]byte("\x00\x81\x7f\xff\xff\xff\xff\xff\xff\xff")), ErrDamaged},
		"more behind":   {signed([]byte("\x00\x05value\x00")), ErrDamaged},
		"many missing":  {signed([]byte("\x00\x20val")), ErrDamaged},
	} {
		_, err := ReadDump(c2.dump, redisLimits(), 1<<30)
		if !errors.Is(err, c2.want) || err != nil && c2.want == nil {
			t.Errorf("%s: %v", name, err)
		}
		says := c.Do(ctx, "RESTORE", "k", 0, string(c2.dump), "REPLACE").Err()
		switch {
		case c2.want == nil && says != nil,
			errors.Is(c2.want, ErrTrailer) != (says != nil && strings.Contains(says.Error(), ErrTrailer.Error())),
			errors.Is(c2.want, ErrDamaged) && says == nil && name != "more behind" && name != "half a value":
			t.Errorf("%s: Redis says %v, we %v", name, says, err)
		}
	}
}

// Every dump whose sum is right, and whose value is damaged, is refused, or is the value that
// Redis takes it for.
func TestDamagedDumpsAsRedisReadsThem(t *testing.T) {
	ctx := context.Background()
	c, _ := rdbtest.StartRedis(t, t.TempDir(), "--sanitize-dump-payload", "yes")
	c.HSet(ctx, "packed", "a", "1", "field", "some text", "number", -70000)
	c.Set(ctx, "text", strings.Repeat("ab", 40), 0)
	c.RPush(ctx, "list", "a", "1", "some text", -70000)
	c.SAdd(ctx, "ints", 1, 2, -70000)
	c.SAdd(ctx, "set", "a", "some text")
	for _, key := range []string{"packed", "text", "list", "ints", "set"} {
		dump := []byte(c.Dump(ctx, key).Val())
		body := dump[:len(dump)-dumpTrailer]
		for i := range body {
			for bit := range 8 {
				bad := bytes.Clone(body)
				if bad[i] ^= 1 << bit; i == 0 && bad[0] == typeSetListpack {
					continue // redis-server 7.0 does not know it
				}
				sameAsRedis(t, c, signed(bad), fmt.Sprintf("%s, bit %d of byte %d", key, bit, i))
			}
		}
	}
}

func sameAsRedis(t *testing.T, c *redis.Client, dump []byte, what string) {
	t.Helper()
	ctx := context.Background()
	it, err := ReadDump(dump, redisLimits(), 1<<30)
	if err != nil {
		return
	}
	if says := c.Do(ctx, "RESTORE", "k", 0, string(dump), "REPLACE").Err(); says != nil {
		t.Errorf("%s: Redis says %v", what, says)
		return
	}
	if it.Collection == nil {
		if got := c.Get(ctx, "k").Val(); got != string(it.Value) {
			t.Errorf("%s: %q, Redis has %q", what, it.Value, got)
		}
		return
	}
	s := store.New(store.DefaultOptions())
	s.PutCollection([]byte("k"), it.Collection, 0)
	if s.Get([]byte("k")).List() != nil {
		rdbtest.SameLists(t, rdbtest.ListsOf(s), map[string][]string{"k": c.LRange(ctx, "k", 0, -1).Val()})
		return
	}
	if s.Get([]byte("k")).Set() != nil {
		sameSets(t, setsOf(s), redisSets(t, c, "k"))
		return
	}
	got, err := c.HGetAll(ctx, "k").Result()
	if err != nil {
		t.Fatal(err)
	}
	rdbtest.SameHashes(t, rdbtest.HashesOf(s), map[string]map[string]string{"k": got})
}

// What is in the store comes back from its dump, in whatever order its fields came.
func TestDumpRoundTrip(t *testing.T) {
	s := trickyStore()
	rdbtest.FillHashes(s)
	again := store.New(store.DefaultOptions())
	s.Each(func(e *store.Entry) bool {
		dump := dumpOf(t, e)
		got := restored(t, again, e.Key(), dump)
		sameForm := e.Hash() == nil || e.Hash().Packed() == got.Hash().Packed() // the fields come in another order
		if !bytes.Equal(got.Bytes(), e.Bytes()) || sameForm && !bytes.Equal(dumpOf(t, got), dump) {
			t.Errorf("key %.80q differs", e.Key())
		}
		return true
	})
	rdbtest.SameHashes(t, rdbtest.HashesOf(again), rdbtest.HashesOf(s))
}

// What a dump claims to stand for is looked at before it is unpacked: neither one string nor many
// come to more than is allowed.
func TestDumpsAreNotUnpackedBeyondALimit(t *testing.T) {
	long := func(n int) []byte { // so many times 264 letters, of 9 bytes each
		packed := bytes.Repeat([]byte("\x00a\xe0\xff\x00"), n)
		return slices.Concat([]byte{lenEnc<<6 | encLZF, len32Byte}, binary.BigEndian.AppendUint32(nil, uint32(len(packed))),
			[]byte{len32Byte}, binary.BigEndian.AppendUint32(nil, uint32(n*265)), packed)
	}
	fields := []byte{typeHash, 40}
	for i := range byte(40) {
		fields = slices.Concat(fields, []byte{1, 'a' + i}, long(10))
	}
	for name, c := range map[string]struct {
		body []byte
		size int64
	}{
		"a string": {append([]byte{typeString}, long(1000)...), 265_000}, "fields": {fields, 40 * 2650},
	} {
		if _, err := ReadDump(signed(c.body), redisLimits(), c.size); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		var corrupt *CorruptError
		if _, err := ReadDump(signed(c.body), redisLimits(), c.size-1); !errors.Is(err, ErrTooLarge) || !errors.As(err, &corrupt) {
			t.Errorf("%s, one byte less: %v", name, err)
		}
	}
}

func FuzzDump(f *testing.F) {
	for _, body := range []string{"\x00\x05value", "\x00\xc1\x00\x01", "\x00\xc3\x05\x20\x00a\xe0\x10\x00", "\x04\x01\x01a\xc0\x01"} {
		f.Add([]byte(body))
	}
	f.Add(append([]byte{typeHashZiplist}, str(string(ziplist("a", "1", "b", "text")))...))
	f.Add(append([]byte{typeHashListpack}, str("\x0b\x00\x00\x00\x02\x00\x01\x01\x02\x01\xff")...))
	f.Fuzz(func(t *testing.T, body []byte) {
		_, _ = ReadDump(body, redisLimits(), 1<<30)
		dump := signed(body)
		if _, err := ReadDump(dump, redisLimits(), 1<<30); err != nil {
			var corrupt *CorruptError
			if !errors.As(err, &corrupt) || corrupt.Offset > int64(len(dump)) || errors.Is(err, io.ErrNoProgress) {
				t.Fatalf("%v", err)
			}
			return
		}
		s := store.New(store.DefaultOptions())
		first := restored(t, s, "first", dump)
		own := dumpOf(t, first)
		if second := restored(t, s, "second", own); !bytes.Equal(dumpOf(t, second), own) {
			t.Fatal("not the same")
		}
	})
}

// redisLimits are those of a Redis that was told nothing.
func redisLimits() *store.Limits {
	lim := store.DefaultLimits()
	return &lim
}
