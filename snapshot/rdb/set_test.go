package rdb

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	"pgregory.net/rapid"

	"github.com/lockstepkv/lockstep/snapshot/rdbtest"
	"github.com/lockstepkv/lockstep/store"
	"github.com/lockstepkv/lockstep/store/value/set"
)

// setsOf has the members of all sets of a store, sorted.
func setsOf(s *store.Store) map[string][]string {
	all := map[string][]string{}
	s.Each(func(e *store.Entry) bool {
		if v := e.Set(); v != nil {
			var list []string
			v.Each(func(member []byte) bool {
				list = append(list, string(member))
				return true
			})
			slices.Sort(list)
			all[strings.Clone(e.Key())] = list
		}
		return true
	})
	return all
}

func sameSets(t *testing.T, got, want map[string][]string) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%d sets, want %d", len(got), len(want))
	}
	for key, list := range want {
		if !slices.Equal(got[key], list) {
			t.Errorf("%s: %.200q, want %.200q", key, got[key], list)
		}
	}
}

func TestRoundTripOfSets(t *testing.T) {
	s := store.New(store.DefaultOptions())
	rdbtest.FillSets(s)
	got, _, err := Read(bytes.NewReader(encode(t, s, nil, WriteOptions{})), store.DefaultOptions())
	if err != nil {
		t.Fatal(err)
	}
	sameSets(t, setsOf(got), setsOf(s))
	if got.Digest() != s.Digest() || got.Sum() != s.Sum() || got.Used() != s.Used() {
		t.Error("the stores differ")
	}
	for key := range setsOf(s) {
		if is, was := got.Get([]byte(key)).Set(), s.Get([]byte(key)).Set(); is.Encoding() != was.Encoding() || is.IntWidth() != was.IntWidth() {
			t.Errorf("%s: %s of %d, was %s of %d", key, is.Encoding(), is.IntWidth(), was.Encoding(), was.IntWidth())
		}
	}
}

func TestRoundTripPropertyOfSets(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := store.New(store.DefaultOptions())
		member := rapid.OneOf(rapid.String(), rapid.Map(rapid.Int64(), func(v int64) string { return strconv.FormatInt(v, 10) }), rapid.StringMatching(`[0-9]{1,3}`))
		for i := range rapid.IntRange(0, 5).Draw(t, "keys") {
			lim := set.Limits{Ints: rapid.IntRange(0, 20).Draw(t, "ints"), Members: rapid.IntRange(0, 20).Draw(t, "members"), Bytes: 20}
			rdbtest.PutSet(s, fmt.Sprint(i), lim, rapid.Int64Range(0, 5).Draw(t, "at"), rapid.SliceOfN(member, 1, 40).Draw(t, "list")...)
		}
		var file bytes.Buffer
		sn := s.Freeze()
		defer sn.Release()
		if err := Write(&file, sn, nil, testNow); err != nil {
			t.Fatal(err)
		}
		got, _, err := Read(&file, store.DefaultOptions())
		if err != nil {
			t.Fatal(err)
		}
		if got.Digest() != s.Digest() || got.Sum() != s.Sum() || got.Used() != s.Used() {
			t.Error("the stores differ")
		}
	})
}

// redisSets reads the sets of a server that match, sorted.
func redisSets(t *testing.T, c *redis.Client, pattern string) map[string][]string {
	t.Helper()
	ctx, all := context.Background(), map[string][]string{}
	for _, key := range c.Keys(ctx, pattern).Val() {
		if c.Type(ctx, key).Val() == "set" {
			all[key] = c.SMembers(ctx, key).Val()
			slices.Sort(all[key])
		}
	}
	return all
}

func TestRedisLoadsOurSets(t *testing.T) {
	s := store.New(store.DefaultOptions())
	rdbtest.FillSets(s)
	dir := t.TempDir()
	rdbtest.WriteFile(t, filepath.Join(dir, "dump.rdb"), encode(t, s, nil, WriteOptions{NowMillis: testNow}))
	rdbtest.Check(t, "redis-check-rdb", filepath.Join(dir, "dump.rdb"))
	s.Each(func(e *store.Entry) bool { s.SetExpireAt(e, 0); return true })
	rdbtest.WriteFile(t, filepath.Join(dir, "dump.rdb"), encode(t, s, nil, WriteOptions{NowMillis: testNow}))
	c, _ := rdbtest.StartRedis(t, dir)
	sameSets(t, redisSets(t, c, "*"), setsOf(s))
	ctx := context.Background()
	for key := range setsOf(s) { // and their dumps, which it answers too
		ours, err := AppendDump(nil, s.Get([]byte(key)))
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Restore(ctx, "again "+key, 0, string(ours)).Err(); err != nil {
			t.Errorf("%s: %v", key, err)
		}
		it, err := ReadDump([]byte(c.Dump(ctx, key).Val()), redisLimits(), 1<<20)
		if err != nil {
			t.Fatalf("%s: %v", key, err)
		}
		if it.Collection.(*set.Set).Sum()-uint64(it.Collection.(*set.Set).IntWidth()) != s.Get([]byte(key)).Set().Sum()-uint64(s.Get([]byte(key)).Set().IntWidth()) {
			t.Errorf("%s: the dump of Redis has other members", key)
		}
	}
	if got := len(redisSets(t, c, "*")); got != 2*len(setsOf(s)) {
		t.Errorf("%d sets", got)
	}
}

func TestReadsSetsOfRedis(t *testing.T) {
	dir := t.TempDir()
	c, _ := rdbtest.StartRedis(t, dir)
	ctx := context.Background()
	s := store.New(store.DefaultOptions())
	rdbtest.FillSets(s)
	for key, list := range setsOf(s) {
		for _, m := range list {
			c.SAdd(ctx, key, m)
		}
	}
	if err := c.Save(ctx).Err(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(dir, "dump.rdb"))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := Read(bytes.NewReader(data), store.DefaultOptions()); !errors.Is(err, ErrUnsupported) {
		t.Errorf("sets are let in unasked: %v", err)
	}
	got, _, err := ReadWith(bytes.NewReader(data), store.DefaultOptions(), ReadOptions{Packed: redisLimits()})
	if err != nil {
		t.Fatal(err)
	}
	sameSets(t, setsOf(got), setsOf(s))
	for key, want := range map[string]string{"ints of 4": "intset", "many ints": "hashtable", "packed": "listpack", "packed, later ints": "intset", "large by length": "hashtable"} {
		if is := got.Get([]byte(key)).Set().Encoding(); is != want {
			t.Errorf("%s is %s", key, is)
		}
	}
}

func intset(width uint32, ints ...int64) []byte {
	b := binary.LittleEndian.AppendUint32(nil, width)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(ints)))
	for _, v := range ints {
		b = append(b, binary.LittleEndian.AppendUint64(nil, uint64(v))[:width]...)
	}
	return b
}

// TestReadsListpackSets: redis-server 7.2 writes them, which is not at hand.
func TestReadsListpackSets(t *testing.T) {
	file := rdbOf(typeSetListpack, "s", []byte("\x0d\x00\x00\x00\x02\x00\x07\x01\x82ab\x03\xff"))
	s, _, err := ReadWith(bytes.NewReader(file), store.DefaultOptions(), ReadOptions{Packed: redisLimits()})
	if err != nil {
		t.Fatal(err)
	}
	sameSets(t, setsOf(s), map[string][]string{"s": {"7", "ab"}})
}

func TestDamagedSets(t *testing.T) {
	for want, file := range map[string][]byte{
		"without members":          rdbOf(typeSetIntset, "s", intset(2)),
		"do not ascend: 5 after 5": rdbOf(typeSetIntset, "s", intset(2, 5, 5)),
		"an intset of 3 bytes":     rdbOf(typeSetIntset, "s", []byte("abc")),
		"does not have 2 integers": rdbOf(typeSetIntset, "s", intset(2, 5, 6)[:10]),
		"2 integers of 3":          rdbOf(typeSetIntset, "s", intset(3, 5, 6)),
		"a listpack of 3 bytes":    rdbOf(typeSetListpack, "s", []byte("abc")),
		"key \"s\" comes twice":    rdbOf(typeSetListpack, "s", []byte("\x0b\x00\x00\x00\x02\x00\x07\x01\x07\x01\xff")),
	} {
		_, _, err := ReadWith(bytes.NewReader(file), store.DefaultOptions(), ReadOptions{Packed: redisLimits()})
		if !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}
