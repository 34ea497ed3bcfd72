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
	"github.com/lockstepkv/lockstep/store/value/list"
	"github.com/redis/go-redis/v9"
	"pgregory.net/rapid"
)

func TestListsRoundTrip(t *testing.T) {
	s := store.New(store.DefaultOptions())
	rdbtest.FillLists(s)
	got, _, err := Read(bytes.NewReader(encode(t, s, nil, WriteOptions{})), store.DefaultOptions())
	if err != nil {
		t.Fatal(err)
	}
	sameStore(t, got, s)
	rdbtest.SameLists(t, rdbtest.ListsOf(got), rdbtest.ListsOf(s))
	if got.Sum() != s.Sum() {
		t.Error("the sums differ")
	}
	for key, packed := range map[string]bool{"list, packed": true, "list, large by number": false, "list, small but large": false} {
		if got.Get([]byte(key)).List().Packed() != packed {
			t.Errorf("%s: packed %v", key, !packed)
		}
	}
}

func TestRoundTripPropertyOfLists(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := store.New(store.DefaultOptions())
		for i := range rapid.IntRange(0, 5).Draw(t, "keys") {
			l, lim := list.New(), list.LimitsOf(rapid.IntRange(-5, 100).Draw(t, "fill"))
			for range rapid.IntRange(1, 100).Draw(t, "n") {
				e := []byte(rapid.OneOf(rapid.String(), rapid.StringMatching(`-?[0-9]{1,19}`),
					rapid.Map(rapid.IntRange(0, 9000), func(n int) string { return strings.Repeat("x", n) })).Draw(t, "e"))
				l.Reserve(lim, 1, len(e))
				l.PushFront(e)
			}
			s.PutCollection(fmt.Append(nil, i), l, rapid.Int64Range(0, 5).Draw(t, "at"))
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

func pushAll(t *testing.T, c *redis.Client, lists map[string][]string) {
	t.Helper()
	for key, elements := range lists {
		pipe := c.Pipeline()
		for _, e := range elements {
			pipe.RPush(context.Background(), key, e)
		}
		if _, err := pipe.Exec(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
}

func TestRedisLoadsOurLists(t *testing.T) {
	s := store.New(store.DefaultOptions())
	rdbtest.FillLists(s)
	dir := t.TempDir()
	file := filepath.Join(dir, "dump.rdb")
	rdbtest.WriteFile(t, file, encode(t, s, nil, WriteOptions{NowMillis: testNow}))
	if out := rdbtest.Check(t, "redis-check-rdb", file); !strings.Contains(out, "RDB looks OK") || !strings.Contains(out, "Checksum OK") {
		t.Errorf("redis-check-rdb says:\n%s", out)
	}
	c, _ := rdbtest.StartRedis(t, dir, "--sanitize-dump-payload", "yes")
	rdbtest.SameLists(t, rdbtest.RedisLists(t, c), rdbtest.ListsOf(s))
	ctx := context.Background()
	if at := c.PExpireTime(ctx, "list, large by length").Val().Milliseconds(); at != testNow+2000 {
		t.Errorf("expires at %d", at)
	}
	want := map[string]string{} // the same lists made by commands have the same digests
	for key := range rdbtest.ListsOf(s) {
		want[key] = debugDigest(t, c, key)
	}
	c.FlushAll(ctx)
	pushAll(t, c, rdbtest.ListsOf(s))
	for key := range rdbtest.ListsOf(s) {
		if got := debugDigest(t, c, key); got != want[key] && s.Get([]byte(key)).ExpireAt() == 0 {
			t.Errorf("%s: Redis's digest is %s, want %s", key, got, want[key])
		}
	}
}

// fillRedisLists makes lists of one node and of many.
func fillRedisLists(t *testing.T, c *redis.Client) {
	t.Helper()
	s := store.New(store.DefaultOptions())
	rdbtest.FillLists(s)
	pushAll(t, c, rdbtest.ListsOf(s))
}

func TestReadsListsOfRedis(t *testing.T) {
	ctx := context.Background()
	for _, args := range [][]string{
		{"--rdbcompression", "yes"},
		{"--rdbcompression", "no"},
		{"--list-max-listpack-size", "-5"},
		{"--list-max-listpack-size", "3", "--list-compress-depth", "1"},
	} {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			dir := t.TempDir()
			c, stop := rdbtest.StartRedis(t, dir, args...)
			fillRedisLists(t, c)
			if err := c.Do(ctx, "DEBUG", "QUICKLIST-PACKED-THRESHOLD", "200b").Err(); err != nil { // nodes of one element
				t.Fatal(err)
			}
			pushAll(t, c, map[string][]string{"plain nodes": {"a", strings.Repeat("b", 300), "c", strings.Repeat("d", 70_000)}})
			want := rdbtest.RedisLists(t, c)
			if err := c.Save(ctx).Err(); err != nil {
				t.Fatal(err)
			}
			stop()
			data, err := os.ReadFile(filepath.Join(dir, "dump.rdb"))
			if err != nil {
				t.Fatal(err)
			}
			if _, _, err := Read(bytes.NewReader(data), store.DefaultOptions()); !errors.Is(err, ErrUnsupported) {
				t.Errorf("lists are let in unasked: %v", err)
			}
			lim := store.DefaultLimits()
			got, _, err := ReadWith(bytes.NewReader(data), store.DefaultOptions(), ReadOptions{Packed: &lim})
			if err != nil {
				t.Fatal(err)
			}
			rdbtest.SameLists(t, rdbtest.ListsOf(got), want)
			for key, packed := range map[string]bool{"list, packed": true, "list, small but large": true, "list, large by number": false} {
				if got.Get([]byte(key)).List().Packed() != packed {
					t.Errorf("%s: packed %v", key, !packed)
				}
			}
		})
	}
}

// quicklist returns a value of a list in nodes.
func quicklist(nodes ...[]byte) []byte {
	var e encoder
	e.length(uint64(len(nodes)))
	for _, n := range nodes {
		e.string(n)
	}
	return e.buf
}

// keyOf returns a file of Redis 6 with one key, whose value is given as it is written.
func keyOf(t byte, key string, value []byte) []byte {
	var b bytes.Buffer
	e := newEncoder(&b)
	e.raw([]byte("REDIS0009"))
	e.byte(opSelectDB)
	e.length(0)
	e.byte(t)
	e.key(key)
	e.raw(value)
	if err := e.finish(); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// TestReadsOlderListsOfRedis: redis-server 7 writes none of these any more, but it reads
// them, and must read the same.
func TestReadsOlderListsOfRedis(t *testing.T) {
	a := ziplist("text", "", "0", "12", "-1", "255", "32768", "8388608", "-9223372036854775808", strings.Repeat("c", 300))
	b := ziplist("again", "13", strings.Repeat("d", 16384))
	for name, file := range map[string][]byte{
		"plain":     keyOf(typeList, "l", quicklist([]byte("a"), []byte(""), []byte("17"), []byte(strings.Repeat("x", 9000)))),
		"ziplist":   rdbOf(typeListZiplist, "l", a),
		"quicklist": keyOf(typeQuicklist, "l", quicklist(a, b, a)),
	} {
		lim := store.DefaultLimits()
		s, _, err := ReadWith(bytes.NewReader(file), store.DefaultOptions(), ReadOptions{Packed: &lim})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		dir := t.TempDir()
		rdbtest.WriteFile(t, filepath.Join(dir, "dump.rdb"), file)
		c, stop := rdbtest.StartRedis(t, dir, "--sanitize-dump-payload", "yes")
		want := rdbtest.RedisLists(t, c)
		stop()
		if len(want["l"]) < 4 {
			t.Fatalf("%s: Redis reads %d elements", name, len(want["l"]))
		}
		rdbtest.SameLists(t, rdbtest.ListsOf(s), want)
	}
}

func TestDumpsOfLists(t *testing.T) {
	ctx := context.Background()
	for _, compression := range []string{"yes", "no"} {
		c, _ := rdbtest.StartRedis(t, t.TempDir(), "--rdbcompression", compression, "--sanitize-dump-payload", "yes")
		fillRedisLists(t, c)
		lists, s := rdbtest.RedisLists(t, c), store.New(store.DefaultOptions())
		for key := range lists {
			ours := dumpOf(t, restored(t, s, key, []byte(c.Dump(ctx, key).Val())))
			if err := c.Do(ctx, "RESTORE", key, 0, ours, "REPLACE").Err(); err != nil {
				t.Fatalf("%q: %v", key, err)
			}
		}
		rdbtest.SameLists(t, rdbtest.ListsOf(s), lists)
		rdbtest.SameLists(t, rdbtest.RedisLists(t, c), lists)
	}
}

func TestDamagedLists(t *testing.T) {
	node := func(kind byte, block string) []byte { return append([]byte{1, kind, byte(len(block))}, block...) }
	for want, file := range map[string][]byte{
		"is a list without elements":              keyOf(typeList, "l", []byte{0}),
		"key \"none\" is a list without elements": rdbOf(typeListZiplist, "none", ziplist()),
		"a ziplist of 3 bytes":                    rdbOf(typeListZiplist, "l", []byte("abc")),
		"a listpack of 3 bytes":                   keyOf(typeQuicklist2, "l", node(2, "abc")),
		"unknown kind 3 of a node of a list":      keyOf(typeQuicklist2, "l", node(3, "abc")),
	} {
		lim := store.DefaultLimits()
		_, _, err := ReadWith(bytes.NewReader(file), store.DefaultOptions(), ReadOptions{Packed: &lim})
		if !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestEveryFlippedBitOfListsIsFound(t *testing.T) {
	s := store.New(store.DefaultOptions())
	rdbtest.PutList(s, "packed", 0, "1", "two", "", "-77777")
	rdbtest.PutList(s, "large", 5, "1", "two", "-70000000000")
	s.UpdateList(s.Get([]byte("large")), func(l *list.List) bool {
		l.Grow()
		return true
	})
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

func TestUnsoundListIsNotWritten(t *testing.T) {
	s := store.New(store.DefaultOptions())
	rdbtest.PutList(s, "k", 0, "value")
	s.Get([]byte("k")).List().At(0)[2] ^= 4 // memory that changes by itself
	sn := s.Freeze()
	defer sn.Release()
	if err := Write(new(bytes.Buffer), sn, nil, testNow); !errors.Is(err, ErrUnsound) {
		t.Fatalf("got %v", err)
	}
}
