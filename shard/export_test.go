package shard

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lockstepkv/lockstep/fsm/commandset"
	"github.com/lockstepkv/lockstep/resp"
	"github.com/lockstepkv/lockstep/snapshot/rdbtest"
	"github.com/lockstepkv/lockstep/store"
)

// TestRedisReplaysAnExport: the snapshot and the effects of the log behind it bring Redis to
// where the shard was, whatever decided what the commands did: the clock, versions,
// conditions, evictions.
func TestRedisReplaysAnExport(t *testing.T) {
	c := newCluster(t, 1, func(o *Options) {
		o.SnapshotLogBytes = 20_000
		o.Memory = Memory{MaxBytes: 60_000, Eviction: store.Options{Policy: store.AllKeysLRU}}
	})
	value := strings.Repeat("v", 900)
	for i := range 100 { // more than fits
		c.want("n1", fmt.Sprintf("SET k%d %s", i, value), "+OK\r\n")
	}
	c.eventually(func() error {
		if c.group("n1").compactor.At() == 0 {
			return fmt.Errorf("there is no snapshot")
		}
		return nil
	})
	for _, cmd := range []string{
		"SET short x PX 100000000", "SET gone x PX 1", "SETNX short y", "INCRBYFLOAT f 0.5", "GETEX short PERSIST",
		"APPEND log " + value, "APPEND log tail", "EXPIRE log 100000", "RENAME f g", "COPY g h", "ONCE id INCR n", "ONCE id INCR n",
		"LS.PUT v 1 IFVERSION 0", "LS.PUT v 2 IFVERSION 0", "DELIFEQ h 0.5", "LS.TXN IF 0 THEN 2 3 SET v 9 2 INCR log ELSE 0",
		"SET last " + value, "GETDEL short",
	} {
		if _, err := c.run("n1", cmd); err != nil {
			t.Fatalf("%s: %v", cmd, err)
		}
	}
	var want map[string]rdbtest.Key
	c.group("n1").fsm.Inspect(func(s *store.Store, _ int64) { want = rdbtest.StoreContents(s) })
	c.stop("n1")

	dir := t.TempDir()
	f, err := os.Create(filepath.Join(dir, "appendonly.aof"))
	if err != nil {
		t.Fatal(err)
	}
	out, err := ExportAOF(t.Context(), commandset.New(), filepath.Join(c.dir, "n1"), 0, f, slog.New(slog.DiscardHandler), nil)
	if err == nil {
		err = f.Close()
	}
	if err != nil || out.SnapshotIndex == 0 || out.Entries == 0 || out.Keys != len(want) {
		t.Fatalf("%+v, %v", out, err)
	}
	redis, _ := rdbtest.StartRedis(t, dir, "--appendonly", "yes")
	got := rdbtest.RedisContents(t, redis)
	if _, kept := got["gone"]; !kept { // Redis knows by itself that its time is up
		delete(want, "gone")
	}
	rdbtest.SameContents(t, got, want)
}

// TestAnExportHasNothingThatWasRefused: a command on a slot of another shard is in the log, and did nothing.
func TestAnExportHasNothingThatWasRefused(t *testing.T) {
	c := newCluster(t, 1, func(o *Options) { o.Shards = 2 })
	c.want("n1", fmt.Sprintf("SET %s v", c.keyOf(0)), "+OK\r\n")
	v, err := c.run("n1", fmt.Sprintf("SET %s v", c.keyOf(1)))
	if err != nil || v.Class() != resp.ClassElsewhere {
		t.Fatalf("%s, %v", v.Str, err)
	}
	c.stop("n1")
	out, err := ExportAOF(t.Context(), commandset.New(), filepath.Join(c.dir, "n1"), 0, io.Discard, slog.New(slog.DiscardHandler), nil)
	if err != nil || out.Keys != 1 {
		t.Errorf("%+v, %v", out, err)
	}
}
