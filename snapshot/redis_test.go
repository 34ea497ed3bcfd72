package snapshot

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lockstepkv/lockstep/store"
	"github.com/redis/go-redis/v9"
)

// startRedis runs a redis-server on the data in dir until the test ends or the
// returned stop is called.
func startRedis(t testing.TB, dir string, args ...string) (client *redis.Client, stop func()) {
	t.Helper()
	sock := filepath.Join(dir, "sock")
	base := []string{"--port", "0", "--unixsocket", sock, "--dir", dir, "--save", "", "--enable-debug-command", "yes"}
	var out bytes.Buffer
	cmd := exec.Command("redis-server", append(base, args...)...)
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatalf("this test needs Debian's package redis-server: %v", err)
	}
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		client.Close()
		cmd.Process.Kill()
		<-exited
	}
	client = redis.NewClient(&redis.Options{Network: "unix", Addr: sock, MaxRetries: -1, DisableIdentity: true, ReadTimeout: time.Minute})
	t.Cleanup(stop)
	ctx := context.Background()
	deadline := time.After(time.Minute)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for client.Ping(ctx).Err() != nil {
		select {
		case err := <-exited:
			stopped = true
			t.Fatalf("redis-server ended: %v\n%s", err, out.String())
		case <-deadline:
			t.Fatalf("redis-server is not ready\n%s", out.String())
		case <-tick.C:
		}
	}
	return client, stop
}

type redisKey struct {
	value    string
	expireAt int64
}

// redisContents reads all keys of a server.
func redisContents(t *testing.T, c *redis.Client) map[string]redisKey {
	t.Helper()
	ctx := context.Background()
	keys, err := c.Keys(ctx, "*").Result()
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]redisKey, len(keys))
	for len(keys) > 0 {
		part := keys[:min(len(keys), 1000)]
		keys = keys[len(part):]
		pipe := c.Pipeline()
		for _, k := range part {
			pipe.Get(ctx, k)
			pipe.Do(ctx, "PEXPIRETIME", k)
		}
		replies, err := pipe.Exec(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for i, k := range part {
			at, err := replies[2*i+1].(*redis.Cmd).Int64()
			if err != nil {
				t.Fatal(err)
			}
			all[k] = redisKey{replies[2*i].(*redis.StringCmd).Val(), max(at, 0)}
		}
	}
	return all
}

func storeContents(s *store.Store) map[string]redisKey {
	all := make(map[string]redisKey, s.Len())
	s.Each(func(e *store.Entry) bool {
		all[strings.Clone(e.Key())] = redisKey{string(e.Bytes()), e.ExpireAt()}
		return true
	})
	return all
}

func sameContents(t *testing.T, got, want map[string]redisKey) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%d keys, want %d", len(got), len(want))
	}
	for k, w := range want {
		if g, ok := got[k]; !ok || g != w {
			t.Errorf("key %.80q: got %.80q at %d (%v), want %.80q at %d", k, g.value, g.expireAt, ok, w.value, w.expireAt)
		}
	}
}

// check runs one of Redis's own checking programs.
func check(t *testing.T, program, file string) string {
	t.Helper()
	out, err := exec.Command(program, file).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", program, err, out)
	}
	return string(out)
}

func writeTestFile(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestRedisLoadsOurFile(t *testing.T) {
	for _, policy := range []store.Policy{store.NoEviction, store.AllKeysLRU, store.VolatileLFU, store.AllKeysSieve} {
		t.Run(policy.String(), func(t *testing.T) {
			s := trickyStore()
			fill(s, 2*keysPerRun, 20)
			s.Touch(s.Get([]byte("v:0")), testNow-100_000)
			dir := t.TempDir()
			aux := []Aux{{Key: "lockstep-state", Value: bytes.Repeat([]byte{0, '%', 's', 0xff}, 1<<20)}}
			file := filepath.Join(dir, "dump.rdb")
			o := store.DefaultOptions()
			o.Policy = policy
			writeTestFile(t, file, encode(t, s, aux, WriteOptions{NowMillis: testNow + 60_000, Eviction: o}))

			if out := check(t, "redis-check-rdb", file); !strings.Contains(out, "RDB looks OK") || !strings.Contains(out, "Checksum OK") {
				t.Errorf("redis-check-rdb says:\n%s", out)
			}
			args := []string{"--sanitize-dump-payload", "yes"}
			if policy == store.AllKeysLRU || policy == store.VolatileLFU {
				args = append(args, "--maxmemory-policy", policy.String())
			}
			c, _ := startRedis(t, dir, args...)
			sameContents(t, redisContents(t, c), storeContents(s))
			ctx := context.Background()
			switch policy {
			case store.AllKeysLRU:
				// The comparison above touched most keys, so load the file once more.
				if err := c.Do(ctx, "DEBUG", "RELOAD", "NOSAVE").Err(); err != nil {
					t.Fatal(err)
				}
				if idle := c.ObjectIdleTime(ctx, "v:1").Val(); idle < 60*time.Second || idle > 3*time.Minute {
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
			c, stop := startRedis(t, dir, args...)
			fillRedis(t, c)
			want := redisContents(t, c)
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
			sameContents(t, storeContents(s), want)
			if info.Lockstep || info.RDBVersion != 10 || info.Keys != len(want) || len(info.Aux) != 5 || info.Aux[0].Key != "redis-ver" {
				t.Errorf("info %+v", info)
			}
			if a := s.Get([]byte("v:0")).Access(); a.LastMillis < testNow-60_000 || a.LastMillis > testNow {
				t.Errorf("access %+v", a)
			}
		})
	}
}

func TestExpiredKeysInAFileOfRedis(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	c, stop := startRedis(t, dir)
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
			c, stop := startRedis(t, dir)
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
	c, stop := startRedis(t, dir)
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
