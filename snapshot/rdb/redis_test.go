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
	"time"

	"github.com/lockstepkv/lockstep/snapshot/rdbtest"
	"github.com/lockstepkv/lockstep/store"
	"github.com/redis/go-redis/v9"
)

func TestRedisLoadsOurFile(t *testing.T) {
	for _, policy := range []store.Policy{store.NoEviction, store.AllKeysLRU, store.VolatileLFU, store.AllKeysSieve} {
		t.Run(policy.String(), func(t *testing.T) {
			s := trickyStore()
			rdbtest.Fill(s, 2*keysPerRun, 20)
			s.Touch(s.Get([]byte("v:0")), testNow-100_000)
			dir := t.TempDir()
			aux := []Aux{{Key: "lockstep-state", Value: bytes.Repeat([]byte{0, '%', 's', 0xff}, 1<<20)}}
			file := filepath.Join(dir, "dump.rdb")
			o := store.DefaultOptions()
			o.Policy = policy
			rdbtest.WriteFile(t, file, encode(t, s, aux, WriteOptions{NowMillis: testNow + 60_000, Eviction: o}))

			if out := rdbtest.Check(t, "redis-check-rdb", file); !strings.Contains(out, "RDB looks OK") || !strings.Contains(out, "Checksum OK") {
				t.Errorf("redis-check-rdb says:\n%s", out)
			}
			args := []string{"--sanitize-dump-payload", "yes"}
			if policy == store.AllKeysLRU || policy == store.VolatileLFU {
				args = append(args, "--maxmemory-policy", policy.String())
			}
			c, _ := rdbtest.StartRedis(t, dir, args...)
			rdbtest.SameContents(t, rdbtest.RedisContents(t, c), rdbtest.StoreContents(s))
			ctx := context.Background()
			switch policy {
			case store.AllKeysLRU:
				// The comparison above touched most keys, so load the file once more.
				if err := c.Do(ctx, "DEBUG", "RELOAD", "NOSAVE").Err(); err != nil {
					t.Fatal(err)
				}
				if idle := c.ObjectIdleTime(ctx, "v:1").Val(); idle < 60*time.Second || idle > 90*time.Second {
					t.Errorf("idle time %v, want 60s", idle)
				}
			case store.VolatileLFU:
				if err := c.Do(ctx, "DEBUG", "RELOAD", "NOSAVE").Err(); err != nil {
					t.Fatal(err)
				}
				if freq := c.ObjectFreq(ctx, "v:1").Val(); freq != 4 { // 5 less the decay of one minute
					t.Errorf("frequency %d, want 4", freq)
				}
			}
		})
	}
}

// fillRedis sets keys that a server saves in every encoding it has for strings.
func fillRedis(t *testing.T, c *redis.Client) {
	t.Helper()
	ctx := context.Background()
	pipe := c.Pipeline()
	for _, v := range []string{"", "0", "-1", "127", "-128", "128", "32767", "-32768", "32768", "2147483647", "-2147483648",
		"2147483648", "-9223372036854775808", "007", "\x00\x01\xff", strings.Repeat("a", 100), strings.Repeat("ab\x00", 5000),
		strings.Repeat("0123456789", 300_000), strings.Repeat("x", 20) + strings.Repeat("y", 264*2+3)} {
		pipe.Set(ctx, "v:"+v, v, 0)
		pipe.Set(ctx, v, "as key", 0)
	}
	for i := range 5000 {
		pipe.Do(ctx, "SET", fmt.Sprintf("key:%d", i), strings.Repeat(fmt.Sprint(i), i%50), "PXAT", testNow+int64(i))
	}
	if _, err := pipe.Exec(ctx); err != nil {
		t.Fatal(err)
	}
}

func TestReadsFilesOfRedis(t *testing.T) {
	ctx := context.Background()
	for _, args := range [][]string{
		{"--rdbcompression", "yes"},
		{"--rdbcompression", "no"},
		{"--rdbchecksum", "no"},
		{"--maxmemory-policy", "allkeys-lru"},
		{"--maxmemory-policy", "allkeys-lfu"},
	} {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			dir := t.TempDir()
			c, stop := rdbtest.StartRedis(t, dir, args...)
			fillRedis(t, c)
			want := rdbtest.RedisContents(t, c)
			if err := c.Save(ctx).Err(); err != nil {
				t.Fatal(err)
			}
			stop()
			f, err := os.Open(filepath.Join(dir, "dump.rdb"))
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			s, info, err := ReadWith(f, store.DefaultOptions(), ReadOptions{File: f.Name(), NowMillis: testNow})
			if err != nil {
				t.Fatal(err)
			}
			rdbtest.SameContents(t, rdbtest.StoreContents(s), want)
			if info.Lockstep || info.RDBVersion != 10 || info.Keys != len(want) || len(info.Aux) != 5 || info.Aux[0].Key != "redis-ver" {
				t.Errorf("info %+v", info)
			}
			if a := s.Get([]byte("v:0")).Access(); a.LastMillis < testNow-5000 || a.LastMillis > testNow {
				t.Errorf("access %+v", a)
			}
		})
	}
}

func TestExpiredKeysInAFileOfRedis(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	c, stop := rdbtest.StartRedis(t, dir)
	if err := c.Do(ctx, "DEBUG", "SET-ACTIVE-EXPIRE", "0").Err(); err != nil {
		t.Fatal(err)
	}
	c.Set(ctx, "lives", "x", 0)
	c.Set(ctx, "dies", "x", time.Millisecond)
	if err := c.Save(ctx).Err(); err != nil {
		t.Fatal(err)
	}
	stop()
	data, err := os.ReadFile(filepath.Join(dir, "dump.rdb"))
	if err != nil {
		t.Fatal(err)
	}
	if s, _, err := Read(bytes.NewReader(data), store.DefaultOptions()); err != nil || s.Len() != 2 {
		t.Fatalf("kept: %v", err)
	}
	now := time.Now().Add(time.Minute).UnixMilli()
	s, info, err := ReadWith(bytes.NewReader(data), store.DefaultOptions(), ReadOptions{NowMillis: now, DropExpired: true})
	if err != nil || s.Len() != 1 || info.Expired != 1 || s.Get([]byte("lives")) == nil {
		t.Fatalf("dropped: %+v, %v", info, err)
	}
}

func TestOtherContentIsRefusedByName(t *testing.T) {
	ctx := context.Background()
	for want, set := range map[string][]any{
		`"the key" is a list`:       {"RPUSH", "the key", "a"},
		`"the key" is a set`:        {"SADD", "the key", "a"},
		`"the key" is a sorted set`: {"ZADD", "the key", "1", "a"},
		`"the key" is a hash`:       {"HSET", "the key", "f", "v"},
		`"the key" is a stream`:     {"XADD", "the key", "*", "f", "v"},
		`function library`:          {"FUNCTION", "LOAD", "#!lua name=l\nredis.register_function('f', function() end)"},
	} {
		t.Run(want, func(t *testing.T) {
			dir := t.TempDir()
			c, stop := rdbtest.StartRedis(t, dir)
			if err := c.Do(ctx, set...).Err(); err != nil {
				t.Fatal(err)
			}
			if err := c.Save(ctx).Err(); err != nil {
				t.Fatal(err)
			}
			stop()
			f, err := os.Open(filepath.Join(dir, "dump.rdb"))
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			_, _, err = ReadWith(f, store.DefaultOptions(), ReadOptions{File: "dump.rdb"})
			if !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "dump.rdb: at byte ") {
				t.Fatalf("got %v", err)
			}
		})
	}
}

func TestSecondDatabaseIsRefused(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	c, stop := rdbtest.StartRedis(t, dir)
	pipe := c.Pipeline()
	pipe.Do(ctx, "SELECT", 3)
	pipe.Set(ctx, "k", "v", 0)
	if _, err := pipe.Exec(ctx); err != nil {
		t.Fatal(err)
	}
	if err := c.Save(ctx).Err(); err != nil {
		t.Fatal(err)
	}
	stop()
	data, err := os.ReadFile(filepath.Join(dir, "dump.rdb"))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := Read(bytes.NewReader(data), store.DefaultOptions()); !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), "database 3") {
		t.Fatalf("got %v", err)
	}
}
