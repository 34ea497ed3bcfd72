// Package rdbtest has what the tests of snapshots, RDB files and append-only files share:
// a real redis-server on a directory, and what it and a store hold, to compare.
package rdbtest

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/lockstepkv/lockstep/store"
)

// Now is the time of writing in tests, Unix milliseconds. It is in the
// future, so that a real redis-server finds nothing expired.
const Now = int64(2_000_000_000_000)

// StartRedis runs a redis-server on the data in dir until the test ends or the
// returned stop is called.
func StartRedis(t testing.TB, dir string, args ...string) (client *redis.Client, stop func()) {
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
	deadline := time.After(30 * time.Second)
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

// Key is what a key holds.
type Key struct {
	Value    string            // of a string
	Elements map[string]string // of a hash: its fields; nil of a string
	List     []string          // of a list
	ExpireAt int64
}

func (k Key) equal(o Key) bool {
	return k.Value == o.Value && (k.Elements == nil) == (o.Elements == nil) && maps.Equal(k.Elements, o.Elements) && slices.Equal(k.List, o.List) && k.ExpireAt == o.ExpireAt
}

// RedisContents reads all keys of a server.
func RedisContents(t *testing.T, c *redis.Client) map[string]Key {
	t.Helper()
	ctx := context.Background()
	keys, err := c.Keys(ctx, "*").Result()
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]Key, len(keys))
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
			all[k] = Key{Value: replies[2*i].(*redis.StringCmd).Val(), ExpireAt: max(at, 0)}
		}
	}
	return all
}

// StoreContents has the keys of a store.
func StoreContents(s *store.Store) map[string]Key {
	all := make(map[string]Key, s.Len())
	s.Each(func(e *store.Entry) bool {
		k := Key{ExpireAt: e.ExpireAt(), Elements: elements(e), List: listOf(e)}
		if e.Type() == store.String {
			k.Value = string(e.Bytes())
		}
		all[strings.Clone(e.Key())] = k
		return true
	})
	return all
}

// elements are those of a collection; nil for a string.
func elements(e *store.Entry) map[string]string {
	h := e.Hash()
	if h == nil {
		return nil
	}
	fields := map[string]string{}
	h.Each(func(field, value []byte) bool {
		fields[string(field)] = string(value)
		return true
	})
	return fields
}

// SameContents fails the test unless both are the same.
func SameContents(t *testing.T, got, want map[string]Key) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%d keys, want %d", len(got), len(want))
	}
	for k, w := range want {
		if g, ok := got[k]; !ok || !g.equal(w) {
			t.Errorf("key %.80q: got %.80q %.200q %.200q at %d (%v), want %.80q %.200q %.200q at %d", k, g.Value, g.Elements, g.List, g.ExpireAt, ok,
				w.Value, w.Elements, w.List, w.ExpireAt)
		}
	}
}

// Check runs one of Redis's own checking programs.
func Check(t *testing.T, program, file string) string {
	t.Helper()
	out, err := exec.Command(program, file).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", program, err, out)
	}
	return string(out)
}

// WriteFile makes a file.
func WriteFile(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// Fill puts n keys of a typical size, every fourth with an expiry time.
func Fill(s *store.Store, n, valueLen int) {
	val := bytes.Repeat([]byte("v"), valueLen)
	for i := range n {
		var at int64
		if i%4 == 0 {
			at = Now + int64(i)
		}
		s.Put(fmt.Appendf(nil, "key:%012d", i), val, at, false)
	}
}
