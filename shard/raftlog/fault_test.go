//go:build failpoints

package raftlog

import (
	"errors"
	"testing"
	"time"

	"github.com/lockstepkv/lockstep/internal/failpoint"
)

// After a failed write nothing may be acknowledged, what was durable stays readable, and reopening finds
// every acknowledged entry.
func TestFailedWriteIsFinal(t *testing.T) {
	for _, point := range []string{"raftlog/store", "raftlog/write", "raftlog/sync"} {
		t.Run(point, func(t *testing.T) {
			forEngines(t, func(t *testing.T, engine string) {
				if engine == EngineBolt && point == "raftlog/write" {
					return // bbolt opens its own file
				}
				o := Options{Dir: t.TempDir(), Engine: engine, CacheBytes: -1}
				s := mustOpen(t, o)
				all := batch(1, 10, 500)
				mustStore(t, s, all...)
				gone := errors.New("disk gone")
				disable := failpoint.Enable(point, func() error { return gone })
				if err := s.StoreLogs(batch(11, 3, 500)); !errors.Is(err, gone) || !errors.Is(err, ErrFailed) {
					t.Fatalf("failing write: %v", err)
				}
				disable()
				mustFail(t, s)
				checkEntries(t, s, all...)
				mustClose(t, s)
				s = mustOpen(t, o)
				if _, last := s.bounds(); last != 10 {
					// The entries of the failed write may be there, whole, but nothing else.
					all = append(all, batch(11, 3, 500)...)
				}
				checkEntries(t, s, all...)
			})
		})
	}
}

func mustFail(t *testing.T, s *Store) {
	t.Helper()
	_, last := s.bounds()
	for what, err := range map[string]error{
		"StoreLogs": s.StoreLogs(batch(last+1, 1, 1)), "Set": s.Set([]byte("k"), []byte("v")), "DeleteRange": s.DeleteRange(last, last),
	} {
		if !errors.Is(err, ErrFailed) {
			t.Errorf("%s after a failure: %v", what, err)
		}
	}
}

func TestFailedSetAndDeleteAreFinal(t *testing.T) {
	forEngines(t, func(t *testing.T, engine string) {
		gone := errors.New("disk gone")
		calls := map[string]func(*Store) error{
			"raftlog/set":    func(s *Store) error { return s.Set([]byte("k"), []byte("new")) },
			"raftlog/delete": func(s *Store) error { return s.DeleteRange(8, 10) },
		}
		for point, call := range calls {
			o := Options{Dir: t.TempDir(), Engine: engine}
			s := mustOpen(t, o)
			mustStore(t, s, batch(1, 10, 10)...)
			if err := s.Set([]byte("k"), []byte("old")); err != nil {
				t.Fatal(err)
			}
			disable := failpoint.Enable(point, func() error { return gone })
			if err := call(s); !errors.Is(err, gone) {
				t.Fatalf("%s: %v", point, err)
			}
			disable()
			mustFail(t, s)
			mustClose(t, s)
			s = mustOpen(t, o)
			checkEntries(t, s, batch(1, 10, 10)...)
			if v, err := s.Get([]byte("k")); err != nil || string(v) != "old" {
				t.Fatalf("%q, %v", v, err)
			}
			mustClose(t, s)
		}
	})
}

// A rotation fails in the background; the write that meets it must say why, and Close must not hang.
func TestFailedRotationIsReported(t *testing.T) {
	for _, point := range []string{"raftlog/meta", "raftlog/create"} {
		for _, call := range []string{"store", "delete", "close"} {
			t.Run(point+"/"+call, func(t *testing.T) {
				o := Options{Dir: t.TempDir(), SegmentBytes: 4 << 10}
				s := mustOpen(t, o)
				full := errors.New("disk full")
				disable := failpoint.Enable(point, func() error { return full })
				all := batch(1, 10, 500)
				mustStore(t, s, all...) // seals the segment
				switch call {
				case "store":
					if err := s.StoreLogs(batch(11, 1, 1)); !errors.Is(err, full) {
						t.Fatal(err)
					}
				case "delete":
					if err := s.DeleteRange(1, 5); !errors.Is(err, full) {
						t.Fatal(err)
					}
				}
				disable()
				mustClose(t, s)
				s = mustOpen(t, o)
				checkEntries(t, s, all...)
				mustStore(t, s, entry(11, 1, 10))
			})
		}
	}
}

func TestWatchdogReportsHangingWrite(t *testing.T) {
	forEngines(t, func(t *testing.T, engine string) {
		stalled := make(chan string, 10)
		s := mustOpen(t, Options{Dir: t.TempDir(), Engine: engine, StallTimeout: 200 * time.Millisecond,
			OnStall: func(op string, _ time.Duration) { stalled <- op }})
		mustStore(t, s, entry(1, 1, 1))
		for point, op := range map[string]Op{"raftlog/store": OpStore, "raftlog/set": OpSet, "raftlog/delete": OpDelete} {
			release, finished := make(chan struct{}), make(chan error)
			for len(stalled) > 0 {
				<-stalled // on a busy machine what came before took long, too
			}
			disable := failpoint.Enable(point, func() error { <-release; return nil })
			go func() {
				switch op {
				case OpStore:
					finished <- s.StoreLogs(batch(2, 1, 1))
				case OpSet:
					finished <- s.Set([]byte("k"), nil)
				default:
					finished <- s.DeleteRange(1, 1)
				}
			}()
			if got := <-stalled; got != string(op) {
				t.Fatalf("stall of %s reported as %s", op, got)
			}
			close(release)
			if err := <-finished; err != nil {
				t.Fatal(err)
			}
			disable()
			if n := len(stalled); n != 0 {
				t.Fatalf("%s reported %d times more", op, n)
			}
		}
	})
}
