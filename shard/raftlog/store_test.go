package raftlog

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/hashicorp/raft"
)

func storeAndReopen(t *testing.T, engine string) {
	o := Options{Dir: t.TempDir(), Engine: engine, CacheBytes: -1, SegmentBytes: 64 << 10}
	s := mustOpen(t, o)
	var all []*raft.Log
	for i := range 100 {
		logs := batch(uint64(7+i*3), 3, i*37)
		mustStore(t, s, logs...)
		all = append(all, logs...)
	}
	if err := s.Set([]byte("vote"), []byte("n1")); err != nil {
		t.Fatal(err)
	}
	if err := s.SetUint64([]byte("term"), 42); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		checkEntries(t, s, all...)
		if err := s.Verify(context.Background()); err != nil {
			t.Fatal(err)
		}
		if v, err := s.Get([]byte("vote")); err != nil || string(v) != "n1" {
			t.Fatalf("vote %q, %v", v, err)
		}
		if v, err := s.GetUint64([]byte("term")); err != nil || v != 42 {
			t.Fatalf("term %d, %v", v, err)
		}
		if v, err := s.GetUint64([]byte("none")); err != nil || v != 0 {
			t.Fatalf("unset number %d, %v", v, err)
		}
		if v, err := s.Get([]byte("none")); err != nil || v != nil {
			t.Fatalf("unset value %q, %v", v, err)
		}
		mustClose(t, s)
		s = mustOpen(t, o)
	}
}

func TestGapIsRefusedAndHarmless(t *testing.T) {
	forEngines(t, func(t *testing.T, engine string) {
		s := mustOpen(t, Options{Dir: t.TempDir(), Engine: engine})
		all := batch(1, 5, 20)
		mustStore(t, s, all...)
		for _, bad := range [][]*raft.Log{batch(7, 1, 1), batch(5, 1, 1), {entry(6, 1, 1), entry(8, 1, 1)}, {entry(0, 1, 1)}} {
			if err := s.StoreLogs(bad); !errors.Is(err, ErrGap) {
				t.Fatalf("entry %d: %v", bad[0].Index, err)
			}
		}
		if err := s.DeleteRange(2, 4); !errors.Is(err, ErrGap) {
			t.Fatal(err)
		}
		mustStore(t, s, entry(6, 1, 20))
		checkEntries(t, s, append(all, entry(6, 1, 20))...)
	})
}

func othersRefused(t *testing.T, engine string) {
	dir := t.TempDir()
	s := mustOpen(t, Options{Dir: dir, Engine: engine})
	if _, err := Open(Options{Dir: dir, Engine: engine}); !errors.Is(err, ErrLocked) {
		t.Fatalf("second open: %v", err)
	}
	if _, err := OpenReader(dir); !errors.Is(err, ErrLocked) {
		t.Fatalf("reader beside a store: %v", err)
	}
	mustClose(t, s)
	for _, other := range append(Engines(), "paper") {
		if other == engine {
			continue
		}
		if _, err := Open(Options{Dir: dir, Engine: other}); !errors.Is(err, ErrEngine) {
			t.Fatalf("engine %s: %v", other, err)
		}
	}
}

func TestClosedStoreRefusesEverything(t *testing.T) {
	s := mustOpen(t, Options{Dir: t.TempDir()})
	mustStore(t, s, entry(1, 1, 1))
	mustClose(t, s)
	var l raft.Log
	_, getErr := s.Get([]byte("k"))
	_, firstErr := s.FirstIndex()
	for what, err := range map[string]error{
		"GetLog": s.GetLog(1, &l), "StoreLogs": s.StoreLogs(batch(2, 1, 1)), "DeleteRange": s.DeleteRange(1, 1),
		"Set": s.Set([]byte("k"), nil), "Get": getErr, "FirstIndex": firstErr,
	} {
		if !errors.Is(err, ErrClosed) {
			t.Errorf("%s: %v", what, err)
		}
	}
	mustClose(t, s)
}

// The newest segment is sealed without an index when its end is truncated, and must be readable after a
// restart all the same.
func truncatedTailReopened(t *testing.T, engine string) {
	o := Options{Dir: t.TempDir(), Engine: engine, CacheBytes: -1}
	s := mustOpen(t, o)
	mustStore(t, s, batch(1, 10, 100)...)
	if err := s.DeleteRange(6, 10); err != nil {
		t.Fatal(err)
	}
	want := append(batch(1, 5, 100), entry(6, 2, 50), entry(7, 2, 50))
	mustStore(t, s, want[5:]...)
	for range 2 {
		checkEntries(t, s, want...)
		mustClose(t, s)
		s = mustOpen(t, o)
	}
}

func readerSees(t *testing.T, engine string) {
	o := Options{Dir: t.TempDir(), Engine: engine, SegmentBytes: 16 << 10}
	s := mustOpen(t, o)
	all := batch(3, 60, 900)
	for _, l := range all {
		mustStore(t, s, l)
	}
	if err := s.DeleteRange(3, 9); err != nil {
		t.Fatal(err)
	}
	if err := s.DeleteRange(50, 62); err != nil {
		t.Fatal(err)
	}
	if err := s.Set([]byte("vote"), []byte("n1")); err != nil {
		t.Fatal(err)
	}
	mustClose(t, s)
	r, err := OpenReader(o.Dir)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if r.FirstIndex() != 10 || r.LastIndex() != 49 {
		t.Fatalf("%d to %d", r.FirstIndex(), r.LastIndex())
	}
	if v, err := r.Get([]byte("vote")); err != nil || string(v) != "n1" {
		t.Fatalf("vote %q, %v", v, err)
	}
	next := uint64(20)
	err = r.Each(next, func(l *raft.Log) error {
		if !sameEntry(l, all[next-3]) {
			t.Fatalf("got %+v at %d", l, next)
		}
		next++
		return nil
	})
	if err != nil || next != 50 {
		t.Fatalf("stopped before %d: %v", next, err)
	}
	stop := errors.New("enough")
	if err := r.Each(0, func(*raft.Log) error { return stop }); err != stop {
		t.Fatal(err)
	}
}

// TestSegmentsLeaveRoom: what a segment takes in advance must not fill a disk that was just not full.
func TestSegmentsLeaveRoom(t *testing.T) {
	o := Options{Dir: t.TempDir(), SegmentBytes: 1 << 20, CacheBytes: -1, Free: func() (int64, error) { return 400 << 10, nil }}
	s := mustOpen(t, o)
	if got := walFileBytes(t, o.Dir); got > 100<<10 {
		t.Errorf("an empty log takes %d bytes of 400 KiB", got)
	}
	var all []*raft.Log
	for i := range 40 { // 4 MB: several segments
		next := batch(uint64(i*10+1), 10, 10_000)
		mustStore(t, s, next...)
		all = append(all, next...)
	}
	checkEntries(t, s, all...)
	mustClose(t, s)
	checkEntries(t, mustOpen(t, o), all...)
}

func walFileBytes(t *testing.T, dir string) (sum int64) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.wal"))
	if err != nil || len(names) == 0 {
		t.Fatalf("%v, %v", names, err)
	}
	for _, name := range names {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		sum += info.Size()
	}
	return sum
}
