package raftlog

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if args := os.Getenv(lifeEnv); args != "" {
		fmt.Fprintln(os.Stderr, live(args))
		os.Exit(1)
	}
	// Histories run on a real disk; -rapid.checks on the command line comes later and wins.
	if err := flag.Set("rapid.checks", "15"); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m)
}

func forEngines(t *testing.T, fn func(t *testing.T, engine string)) {
	for _, engine := range Engines() {
		t.Run(engine, func(t *testing.T) { fn(t, engine) })
	}
}

func mustOpen(t testing.TB, o Options) *Store {
	t.Helper()
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func mustClose(t testing.TB, s *Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// entry makes an entry whose contents follow from its index and term.
func entry(index, term uint64, size int) *raft.Log {
	l := &raft.Log{Index: index, Term: term, Type: raft.LogCommand, AppendedAt: time.Unix(1700000000, int64(index))}
	pattern := fmt.Appendf(nil, "%d/%d;", index, term)
	if size > 0 {
		l.Data = bytes.Repeat(pattern, size/len(pattern)+1)[:size]
	}
	if index%5 == 0 {
		l.Extensions = []byte("ext")
	}
	return l
}

func batch(from uint64, n int, size int) []*raft.Log {
	logs := make([]*raft.Log, n)
	for i := range logs {
		logs[i] = entry(from+uint64(i), 1, size)
	}
	return logs
}

func mustStore(t testing.TB, s *Store, logs ...*raft.Log) {
	t.Helper()
	if err := s.StoreLogs(logs); err != nil {
		t.Fatal(err)
	}
}

func sameEntry(a, b *raft.Log) bool {
	return a.Index == b.Index && a.Term == b.Term && a.Type == b.Type && bytes.Equal(a.Data, b.Data) &&
		bytes.Equal(a.Extensions, b.Extensions) && a.AppendedAt.Equal(b.AppendedAt)
}

// checkEntries demands that the log holds exactly want.
func checkEntries(t testing.TB, s *Store, want ...*raft.Log) {
	t.Helper()
	first, last := s.bounds()
	if len(want) == 0 {
		if first != 0 || last != 0 {
			t.Fatalf("log holds %d to %d, want nothing", first, last)
		}
		return
	}
	if first != want[0].Index || last != want[len(want)-1].Index {
		t.Fatalf("log holds %d to %d, want %d to %d", first, last, want[0].Index, want[len(want)-1].Index)
	}
	for _, w := range want {
		var got raft.Log
		if err := s.GetLog(w.Index, &got); err != nil {
			t.Fatalf("entry %d: %v", w.Index, err)
		}
		if !sameEntry(&got, w) {
			t.Fatalf("entry %d: got %+v, want %+v", w.Index, got, *w)
		}
	}
}
