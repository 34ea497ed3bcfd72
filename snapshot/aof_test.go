package snapshot

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

	"github.com/lockstepkv/lockstep/store"
)

// mutate changes s once, at random, the way commands and the log do.
func mutate(s *store.Store, rng *rand.Rand) {
	key := fmt.Appendf(nil, "k%d\x00\r\n", rng.IntN(60))
	val := bytes.Repeat([]byte{byte(rng.IntN(256))}, rng.IntN(200))
	at := testNow + rng.Int64N(1000)
	if rng.IntN(2) == 0 {
		at = 0
	}
	e := s.Get(key)
	switch op := rng.IntN(100); {
	case e == nil || op < 30:
		s.Put(key, val, at, false)
	case op < 50:
		s.Append(e, val)
	case op < 65:
		s.SetExpireAt(e, at)
	case op < 75:
		s.Rename(e, fmt.Appendf(nil, "k%d\x00\r\n", rng.IntN(60)))
	case op < 85:
		s.Copy(e, fmt.Appendf(nil, "k%d\x00\r\n", rng.IntN(60)))
	case op < 95:
		s.Delete(e)
	case op < 97:
		s.Reap(testNow+rng.Int64N(300), 3)
	case op < 98:
		s.Evict(key, e.Version())
	case rng.IntN(10) == 0:
		s.Clear()
	}
}

// history fills a store, writes its state as base, then changes it in units.
func history(t *testing.T, seed uint64, base func(*store.Snapshot), unit func([]Command)) *store.Store {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 1))
	rec := new(Recorder)
	o := store.DefaultOptions()
	o.OnChange = rec.OnChange
	s := store.New(o)
	for range 300 {
		mutate(s, rng)
	}
	sn := s.Freeze()
	defer sn.Release()
	base(sn)
	rec.Start()
	for range 3000 {
		for range rng.IntN(4) {
			mutate(s, rng)
		}
		unit(rec.Take())
	}
	return s
}

// writeHistory writes a history as one append-only file.
func writeHistory(t *testing.T, w io.Writer, seed uint64) *store.Store {
	t.Helper()
	a := NewAOFWriter(w)
	s := history(t, seed, func(sn *store.Snapshot) {
		if err := a.Base(sn, testNow); err != nil {
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
	writeTestFile(t, file, b.Bytes())
	for _, word := range []string{"FLUSHALL", "APPEND", "PERSIST", "PEXPIREAT", "PXAT", "DEL", "MULTI"} {
		if !bytes.Contains(b.Bytes(), []byte(word+"\r\n")) {
			t.Errorf("the history has no %s", word)
		}
	}
	if out := check(t, "redis-check-aof", file); !strings.Contains(out, "is valid") {
		t.Errorf("redis-check-aof says:\n%s", out)
	}
	c, _ := startRedis(t, dir, "--appendonly", "yes")
	sameContents(t, redisContents(t, c), storeContents(s))
	if _, err := os.Stat(filepath.Join(dir, redisAppendDir, "appendonly.aof")); err != nil {
		t.Errorf("redis-server 7 takes the file into its own layout: %v", err)
	}
}

func TestRedisReplaysADirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "export")
	var base bytes.Buffer
	var units [][]Command
	s := history(t, 2, func(sn *store.Snapshot) {
		if err := Write(&base, sn, nil, testNow); err != nil {
			t.Fatal(err)
		}
	}, func(cmds []Command) { units = append(units, cmds) })
	start, _, err := Read(&base, store.DefaultOptions())
	if err != nil {
		t.Fatal(err)
	}
	export := func() error {
		return ExportRedisDir(dir, start.Freeze(), testNow, func(a *AOFWriter) error {
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
	if out := check(t, "redis-check-aof", filepath.Join(dir, redisAppendDir, redisManifest)); !strings.Contains(out, "All AOF files and manifest are valid") {
		t.Errorf("redis-check-aof says:\n%s", out)
	}
	c, _ := startRedis(t, dir, "--appendonly", "yes")
	sameContents(t, redisContents(t, c), storeContents(s))
}

func TestExportRemovesWhatFailed(t *testing.T) {
	dir := t.TempDir()
	want := errors.New("log is gone")
	err := ExportRedisDir(dir, store.New(store.DefaultOptions()).Freeze(), testNow, func(*AOFWriter) error { return want })
	if !errors.Is(err, want) {
		t.Fatalf("got %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, redisAppendDir)); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("half an export is left: %v", err)
	}
}

// replay runs effects on plain values: the model of what redis-server does.
func replay(t *testing.T, m map[string]redisKey, cmds []Command) {
	t.Helper()
	for _, c := range cmds {
		switch name := string(c[0]); name {
		case "FLUSHALL":
			clear(m)
		case "DEL":
			delete(m, string(c[1]))
		case "SET":
			k := redisKey{value: string(c[2])}
			if len(c) == 5 && string(c[3]) == "PXAT" {
				fmt.Sscan(string(c[4]), &k.expireAt)
			}
			m[string(c[1])] = k
		case "APPEND", "PERSIST", "PEXPIREAT":
			k, ok := m[string(c[1])]
			if !ok {
				t.Fatalf("%s of a key that does not exist", name)
			}
			switch name {
			case "APPEND":
				k.value += string(c[2])
			case "PERSIST":
				k.expireAt = 0
			default:
				fmt.Sscan(string(c[2]), &k.expireAt)
			}
			m[string(c[1])] = k
		default:
			t.Fatalf("unexpected %s", name)
		}
	}
}

// After every unit, not only at the end, the effects give the store's contents.
func TestEffectsFollowTheStore(t *testing.T) {
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 2))
		rec := new(Recorder)
		rec.Start()
		s := store.New(store.Options{OnChange: rec.OnChange})
		model := map[string]redisKey{}
		for range 1000 {
			for range 1 + rng.IntN(4) {
				mutate(s, rng)
			}
			replay(t, model, rec.Take())
			sameContents(t, model, storeContents(s))
			if t.Failed() {
				t.Fatalf("seed %d", seed)
			}
		}
	}
}

func TestEffectsAreShort(t *testing.T) {
	rec := new(Recorder)
	s := store.New(store.Options{OnChange: rec.OnChange})
	big := bytes.Repeat([]byte("x"), 1000)
	s.Put([]byte("before Start"), big, 0, false)
	rec.Start()
	for _, step := range []struct {
		name string
		do   func()
		want string
	}{
		{"new", func() { s.Put([]byte("k"), big, 0, false) }, "SET"},
		{"append", func() { s.Append(s.Get([]byte("k")), []byte("tail")) }, "APPEND"},
		{"the same", func() { s.Put([]byte("k"), append(bytes.Clone(big), "tail"...), 0, false) }, ""},
		{"expire", func() { s.SetExpireAt(s.Get([]byte("k")), testNow) }, "PEXPIREAT"},
		{"persist", func() { s.SetExpireAt(s.Get([]byte("k")), 0) }, "PERSIST"},
		{"delete", func() { s.Delete(s.Get([]byte("k"))) }, "DEL"},
		{"come and go", func() { s.Delete(s.Put([]byte("k"), nil, 0, false)) }, ""},
		{"twice", func() { s.Put([]byte("k"), []byte("1"), 0, false); s.Put([]byte("k"), []byte("2"), 0, false) }, "SET"},
		{"flush", func() { s.Put([]byte("k"), []byte("3"), 0, false); s.Clear() }, "FLUSHALL"},
		{"nothing", func() {}, ""},
	} {
		step.do()
		var got []string
		for _, c := range rec.Take() {
			got = append(got, string(c[0]))
		}
		if strings.Join(got, " ") != step.want {
			t.Errorf("%s: %v, want %s", step.name, got, step.want)
		}
	}
}
