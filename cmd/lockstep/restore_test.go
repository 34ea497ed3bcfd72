package main

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/lockstepkv/lockstep/resp"
)

func testClient(t *testing.T, addr string) (respOptions, *respConn) {
	t.Helper()
	t.Setenv("LOCKSTEP_PASSWORD", "")
	o := respOptions{addrs: []string{addr}, timeout: time.Minute}
	conn, err := dialRESP(context.Background(), o, addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.close() })
	return o, conn
}

func mustCommand(t *testing.T, c *respConn, args ...string) resp.Value {
	t.Helper()
	v, err := c.command(context.Background(), args...)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// A file that Redis wrote is loaded into another server that speaks its protocol.
func TestRestoreOfRedisFile(t *testing.T) {
	from, dir := startRedis(t)
	_, source := testClient(t, from)
	for i := range 2000 { // several batches
		mustCommand(t, source, "SET", "key:"+strconv.Itoa(i), strings.Repeat("v", i))
	}
	mustCommand(t, source, "SET", "lives", "x", "EX", "1000")
	for i := range 700 { // of both forms
		n := strconv.Itoa(i)
		for _, key := range []string{"a", "b"} {
			if key == "a" || i < 5 {
				mustCommand(t, source, "HSET", "hash "+key, n, "value")
				mustCommand(t, source, "RPUSH", "list "+key, strings.Repeat(n, 10))
				mustCommand(t, source, "ZADD", "zset "+key, n, "member"+n)
				mustCommand(t, source, "SADD", "set "+key, "member"+n)
				mustCommand(t, source, "SADD", "ints "+key, n)
			}
		}
	}
	mustCommand(t, source, "EXPIRE", "hash a", "1000")
	types := []string{"hash a", "hash b", "list a", "list b", "zset a", "zset b", "set a", "set b", "ints a", "ints b"}
	mustCommand(t, source, "SAVE")
	file := filepath.Join(dir, "dump.rdb")

	to, _ := startRedis(t)
	o, target := testClient(t, to)
	mustCommand(t, target, "SET", "other", "1")
	var out strings.Builder
	ctx := context.Background()
	if err := runRestore(ctx, restoreOptions{resp: o, files: []string{file}}, &out); err == nil || !strings.Contains(err.Error(), "holds 1 keys") {
		t.Fatalf("into a cluster with keys: %v", err)
	}
	if err := runRestore(ctx, restoreOptions{resp: o, files: []string{dir}, flush: true}, &out); err != nil {
		t.Fatal(err)
	}
	if n := mustCommand(t, target, "DBSIZE").Int; n != 2011 || !strings.Contains(out.String(), "2011 keys loaded") {
		t.Errorf("%d keys, %q", n, out.String())
	}
	if got := string(mustCommand(t, target, "GET", "key:1999").Str); len(got) != 1999 {
		t.Errorf("key:1999 has %d bytes", len(got))
	}
	for _, key := range []string{"lives", "hash a"} {
		if ttl := mustCommand(t, target, "TTL", key).Int; ttl < 900 || ttl > 1000 {
			t.Errorf("%s: ttl %d", key, ttl)
		}
	}
	for _, key := range types { // Redis's digest of a value goes by what is in it
		if got, want := mustCommand(t, target, "DEBUG", "DIGEST-VALUE", key), mustCommand(t, source, "DEBUG", "DIGEST-VALUE", key); string(got.Elems[0].Str) != string(want.Elems[0].Str) {
			t.Errorf("%s is another one", key)
		}
	}
}

// A damaged file, or one with other types, changes nothing, not even with --flush.
func TestRestoreRefusesBeforeChangingAnything(t *testing.T) {
	addr, dir := startRedis(t)
	o, conn := testClient(t, addr)
	mustCommand(t, conn, "SET", "a", "1")
	mustCommand(t, conn, "XADD", "stream", "1-1", "a", "1")
	mustCommand(t, conn, "SAVE")
	streams := filepath.Join(dir, "dump.rdb")
	mustCommand(t, conn, "DEL", "stream")
	data, err := os.ReadFile(streams)
	if err != nil {
		t.Fatal(err)
	}
	damaged := filepath.Join(t.TempDir(), "damaged.rdb")
	if err := os.WriteFile(damaged, data[:len(data)-3], 0o600); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{streams, damaged} {
		err := runRestore(context.Background(), restoreOptions{resp: o, files: []string{file}, flush: true}, &strings.Builder{})
		if err == nil {
			t.Errorf("%s was accepted", file)
		}
		t.Log(err)
	}
	if n := mustCommand(t, conn, "DBSIZE").Int; n != 1 {
		t.Errorf("%d keys are left", n)
	}
}

// TestRestoreRefusesValuesThatTheClusterDoesNotTake before it flushes anything.
func TestRestoreRefusesValuesThatTheClusterDoesNotTake(t *testing.T) {
	addr, dir := startRedis(t)
	o, conn := testClient(t, addr)
	mustCommand(t, conn, "SETRANGE", "huge", "1048576", "x") // one byte more than Redis can be limited to
	mustCommand(t, conn, "SAVE")
	file := filepath.Join(dir, "dump.rdb")
	mustCommand(t, conn, "DEL", "huge")
	mustCommand(t, conn, "SET", "stays", "1")
	mustCommand(t, conn, "CONFIG", "SET", "proto-max-bulk-len", "1048576")
	restore := restoreOptions{resp: o, files: []string{file}, flush: true}
	err := runRestore(context.Background(), restore, &strings.Builder{})
	if err == nil || !strings.Contains(err.Error(), `"huge" has 1048577 bytes`) {
		t.Errorf("%v", err)
	}
	if n := mustCommand(t, conn, "EXISTS", "stays").Int; n != 1 {
		t.Error("the key that was there is gone")
	}
	mustCommand(t, conn, "CONFIG", "SET", "proto-max-bulk-len", "1048577")
	if err := runRestore(context.Background(), restore, &strings.Builder{}); err != nil {
		t.Error(err)
	}
}

// TestRestoreTellsRefusedFromInDoubt: a command that was answered with an error
// is not in doubt, whatever was loaded before it.
func TestRestoreTellsRefusedFromInDoubt(t *testing.T) {
	from, dir := startRedis(t)
	_, source := testClient(t, from)
	for i := range 4 {
		mustCommand(t, source, "SET", "key:"+strconv.Itoa(i), strings.Repeat("v", 1<<20))
	}
	mustCommand(t, source, "SAVE")
	to, _ := startRedis(t)
	o, target := testClient(t, to)
	mustCommand(t, target, "CONFIG", "SET", "maxmemory", "1")
	restore := restoreOptions{resp: o, files: []string{filepath.Join(dir, "dump.rdb")}}
	cmd := &cobra.Command{}
	cmd.SetContext(context.Background())
	err := action(func(ctx context.Context, _ *cobra.Command, _ []string) error {
		return runRestore(ctx, restore, &strings.Builder{})
	})(cmd, nil)
	if exitCode(err) != exitFailed || !strings.Contains(err.Error(), "OOM") {
		t.Errorf("exit code %d: %v", exitCode(err), err)
	}
}

// TestRestoreAfterAFlushIsInDoubt: what fails once the keys are gone does not count as
// nothing changed.
func TestRestoreAfterAFlushIsInDoubt(t *testing.T) {
	addr, dir := startRedis(t)
	o, conn := testClient(t, addr)
	mustCommand(t, conn, "SET", "k", "1")
	mustCommand(t, conn, "SAVE")
	restore := restoreOptions{resp: o, files: []string{filepath.Join(dir, "dump.rdb")}, flush: true}
	for _, test := range []struct {
		denied string
		code   int
		left   int64
	}{{"-flushall", exitFailed, 1}, {"-dbsize", exitInDoubt, 0}} {
		mustCommand(t, conn, "ACL", "SETUSER", "default", "+@all", test.denied)
		cmd := &cobra.Command{}
		cmd.SetContext(context.Background())
		err := action(func(ctx context.Context, _ *cobra.Command, _ []string) error {
			return runRestore(ctx, restore, &strings.Builder{})
		})(cmd, nil)
		if exitCode(err) != test.code {
			t.Errorf("without %s: exit code %d, want %d: %v", test.denied[1:], exitCode(err), test.code, err)
		}
		if left := mustCommand(t, conn, "EXISTS", "k").Int; left != test.left {
			t.Errorf("without %s: %d keys left, want %d", test.denied[1:], left, test.left)
		}
	}
}
