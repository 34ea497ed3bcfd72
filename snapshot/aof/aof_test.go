package aof

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/snapshot/rdb"
	"github.com/lockstepkv/lockstep/snapshot/rdbtest"
	"github.com/lockstepkv/lockstep/store"
	"github.com/lockstepkv/lockstep/store/effect"
)

// machine is a store and the effects of what is done to it.
type machine struct {
	command.Ctx
	log effect.Log
}

func newMachine() *machine {
	m := &machine{Ctx: command.Ctx{Store: store.New(store.DefaultOptions())}}
	m.Effects = &m.log
	return m
}

// take returns the commands of what was done since the last call.
func (m *machine) take() []Command { return Commands(m.log.Take()) }

// mutate changes the store once, at random, the way commands and the log do.
func (m *machine) mutate(rng *rand.Rand) {
	key := fmt.Appendf(nil, "k%d\x00\r\n", rng.IntN(60))
	other := fmt.Appendf(nil, "k%d\x00\r\n", rng.IntN(60))
	val := bytes.Repeat([]byte{byte(rng.IntN(256))}, rng.IntN(200))
	at := rdbtest.Now + rng.Int64N(1000)
	if rng.IntN(2) == 0 {
		at = 0
	}
	e := m.Store.Get(key)
	switch op := rng.IntN(100); {
	case e == nil || op < 30:
		m.Put(key, val, at, false)
	case op < 50:
		m.Append(e, val)
	case op < 65:
		m.SetExpireAt(e, at)
	case op < 75 && !bytes.Equal(key, other):
		m.Rename(e, other)
	case op < 85 && !bytes.Equal(key, other):
		m.Copy(e, other)
	case op < 93:
		m.Delete(e)
	case op < 97:
		m.takeBack(rng)
	case op < 98:
		m.Store.Reap(rdbtest.Now+rng.Int64N(300), 3, func(e *store.Entry) { m.log.Gone(e.Key(), effect.Expiry) })
	case rng.IntN(10) == 0:
		m.Clear()
	}
}

// takeBack changes something within a transaction that fails.
func (m *machine) takeBack(rng *rand.Rand) {
	m.Begin()
	m.Remove(fmt.Appendf(nil, "k%d\x00\r\n", rng.IntN(60)))
	m.Put(fmt.Appendf(nil, "k%d\x00\r\n", rng.IntN(60)), []byte("never was"), 0, false)
	m.Rollback()
}

// history fills a store, writes its state as base, then changes it in units.
func history(t *testing.T, seed uint64, base func(*store.Snapshot), unit func([]Command)) *store.Store {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 1))
	m := newMachine()
	for range 300 {
		m.mutate(rng)
	}
	m.take()
	sn := m.Store.Freeze()
	defer sn.Release()
	base(sn)
	for range 3000 {
		for range rng.IntN(4) {
			m.mutate(rng)
		}
		unit(m.take())
	}
	return m.Store
}

// writeHistory writes a history as one append-only file.
func writeHistory(t *testing.T, w io.Writer, seed uint64) *store.Store {
	t.Helper()
	a := NewWriter(w)
	s := history(t, seed, func(sn *store.Snapshot) {
		if err := a.Base(sn, rdbtest.Now); err != nil {
			t.Fatal(err)
		}
	}, func(cmds []Command) {
		if err := a.Unit(cmds); err != nil {
			t.Fatal(err)
		}
	})
	if err := a.Flush(); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestRedisReplaysASingleFile(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "appendonly.aof")
	var b bytes.Buffer
	s := writeHistory(t, &b, 1)
	rdbtest.WriteFile(t, file, b.Bytes())
	for _, word := range []string{"FLUSHALL", "APPEND", "PERSIST", "PEXPIREAT", "PXAT", "DEL", "MULTI"} {
		if !bytes.Contains(b.Bytes(), []byte(word+"\r\n")) {
			t.Errorf("the history has no %s", word)
		}
	}
	if out := rdbtest.Check(t, "redis-check-aof", file); !strings.Contains(out, "is valid") {
		t.Errorf("redis-check-aof says:\n%s", out)
	}
	c, _ := rdbtest.StartRedis(t, dir, "--appendonly", "yes")
	rdbtest.SameContents(t, rdbtest.RedisContents(t, c), rdbtest.StoreContents(s))
	if _, err := os.Stat(filepath.Join(dir, redisAppendDir, "appendonly.aof")); err != nil {
		t.Errorf("redis-server 7 takes the file into its own layout: %v", err)
	}
}

func TestRedisReplaysADirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "export")
	var base bytes.Buffer
	var units [][]Command
	s := history(t, 2, func(sn *store.Snapshot) {
		if err := rdb.Write(&base, sn, nil, rdbtest.Now); err != nil {
			t.Fatal(err)
		}
	}, func(cmds []Command) { units = append(units, cmds) })
	start, _, err := rdb.Read(&base, store.DefaultOptions())
	if err != nil {
		t.Fatal(err)
	}
	export := func() error {
		return ExportRedisDir(dir, start.Freeze(), rdbtest.Now, func(a *Writer) error {
			for _, cmds := range units {
				if err := a.Unit(cmds); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := export(); err != nil {
		t.Fatal(err)
	}
	if err := export(); !errors.Is(err, os.ErrExist) {
		t.Fatalf("an existing export was replaced: %v", err)
	}
	if out := rdbtest.Check(t, "redis-check-aof", filepath.Join(dir, redisAppendDir, redisManifest)); !strings.Contains(out, "All AOF files and manifest are valid") {
		t.Errorf("redis-check-aof says:\n%s", out)
	}
	c, _ := rdbtest.StartRedis(t, dir, "--appendonly", "yes")
	rdbtest.SameContents(t, rdbtest.RedisContents(t, c), rdbtest.StoreContents(s))
}

func TestExportRemovesWhatFailed(t *testing.T) {
	dir := t.TempDir()
	want := errors.New("log is gone")
	err := ExportRedisDir(dir, store.New(store.DefaultOptions()).Freeze(), rdbtest.Now, func(*Writer) error { return want })
	if !errors.Is(err, want) {
		t.Fatalf("got %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, redisAppendDir)); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("half an export is left: %v", err)
	}
}

// After every unit, not only at the end, the effects give the store's contents.
func TestEffectsFollowTheStore(t *testing.T) {
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 2))
		m := newMachine()
		model := map[string]rdbtest.Key{}
		for range 1000 {
			for range 1 + rng.IntN(4) {
				m.mutate(rng)
			}
			rdbtest.Replay(t, model, m.take())
			rdbtest.SameContents(t, model, rdbtest.StoreContents(m.Store))
			if t.Failed() {
				t.Fatalf("seed %d", seed)
			}
		}
	}
}

func TestEffectsAreShort(t *testing.T) {
	m := newMachine()
	big, k := bytes.Repeat([]byte("x"), 1000), []byte("k")
	is := func() *store.Entry { return m.Store.Get(k) }
	for _, step := range []struct {
		name string
		do   func()
		want string
	}{
		{"new", func() { m.Put(k, big, 0, false) }, "SET"},
		{"append", func() { m.Append(is(), []byte("tail")) }, "APPEND"},
		{"append twice", func() { m.Append(is(), []byte("a")); m.Append(is(), []byte("b")) }, "APPEND"},
		{"expire", func() { m.SetExpireAt(is(), rdbtest.Now) }, "PEXPIREAT"},
		{"persist", func() { m.SetExpireAt(is(), 0) }, "PERSIST"},
		{"append and expire", func() { m.Append(is(), []byte("c")); m.SetExpireAt(is(), rdbtest.Now) }, "SET"},
		{"to expire in the past", func() { m.Now = 2; m.ExpireAt(is(), 1) }, "DEL"},
		{"come and go", func() { m.Delete(m.Put(k, nil, 0, false)) }, ""},
		{"twice", func() { m.Put(k, []byte("1"), 0, false); m.Put(k, []byte("2"), 0, false) }, "SET"},
		{"expire a short one", func() { m.SetExpireAt(is(), rdbtest.Now) }, "SET"},
		{"go and come", func() { m.Delete(is()); m.Put(k, nil, 0, false) }, "SET"},
		{"rename", func() { m.Rename(is(), []byte("other")) }, "DEL SET"},
		{"taken back", func() { m.Begin(); m.Put(k, big, 0, false); m.Rollback() }, ""},
		{"flush", func() { m.Put(k, []byte("3"), 0, false); m.Clear() }, "FLUSHALL"},
		{"nothing", func() {}, ""},
	} {
		step.do()
		var got []string
		for _, c := range m.take() {
			got = append(got, string(c[0]))
		}
		if strings.Join(got, " ") != step.want {
			t.Errorf("%s: %v, want %s", step.name, got, step.want)
		}
	}
}
