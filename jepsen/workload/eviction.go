package workload

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/lockstepkv/lockstep/jepsen/check"
	"github.com/lockstepkv/lockstep/jepsen/client"
	"github.com/lockstepkv/lockstep/jepsen/history"
)

// eviction fills the memory with keys of which only those with a lifetime may be
// evicted. Each worker also holds a lock all the time, which must outlast it.
type eviction struct {
	plain
	padding string

	mu   sync.Mutex
	pins map[string]string // token by name; guarded by mu
	lost []check.Anomaly   // guarded by mu
}

// pinTTL is longer than any run.
const pinTTL = 24 * time.Hour

func newEviction(o Options) Workload {
	return &eviction{
		plain:   plain{newRecorded[check.KeyInput, check.KeyOutput]("eviction", o), keyring{prefix: "v", active: 60, per: 8}},
		padding: padMark + strings.Repeat("x", 4<<10),
		pins:    map[string]string{},
	}
}

// Flags implements Workload.
func (s *eviction) Flags() []string {
	return []string{"--maxmemory", fmt.Sprintf("%dmb", max(s.opt.Shards, 1)), "--maxmemory-policy", "volatile-lru"}
}

// Step implements Workload. Keys that may be evicted have a lifetime longer than
// any run; a few others stay, small enough to fit beside them.
func (s *eviction) Step(ctx context.Context, w *Worker) {
	s.pin(ctx, w)
	key, c := s.keys.pick(s.rec.Len(), w.Rand), w.anywhere()
	switch n := w.Rand.IntN(100); {
	case n < 40:
		s.set(ctx, w, c, key, check.KeyInput{Value: w.unique(), TTL: 24 * time.Hour}, s.padding)
	case n < 45:
		s.set(ctx, w, c, key, check.KeyInput{Value: w.unique()}, padMark)
	default:
		s.get(ctx, w, c, key)
	}
}

// pin takes the worker's lock, if it has none. A try whose outcome is not known
// may hold it for ever, so the next one is for another name.
func (s *eviction) pin(ctx context.Context, w *Worker) {
	prefix := fmt.Sprintf("pin-%d-", w.ID)
	s.mu.Lock()
	defer s.mu.Unlock()
	for name := range s.pins {
		if strings.HasPrefix(name, prefix) {
			return
		}
	}
	name := prefix + w.unique()
	s.mu.Unlock()
	r := client.Lock(ctx, w.anywhere(), name, millis(pinTTL), "0", prefix)
	s.mu.Lock()
	if r.Outcome == history.OK && len(r.Value.Elems) == 2 {
		s.pins[name] = string(r.Value.Elems[0].Str)
	}
}

// Final implements Workload: all locks must still be held with their tokens.
func (s *eviction) Final(ctx context.Context, w *Worker) {
	s.plain.Final(ctx, w)
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, token := range s.pins {
		if r := client.Renew(ctx, w.All[0], name, token, millis(pinTTL)); r.Outcome != history.OK {
			s.lost = append(s.lost, check.Anomaly{Type: check.AnomalyLockLost, Key: name, Text: fmt.Sprintf("a lock with a ttl of %v is not held any more: %v", pinTTL, r.Err)})
		}
	}
}

// Check implements Workload.
func (s *eviction) Check() check.Verdict {
	v := check.Eviction(s.rec.History())
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.lost {
		v.Add(a)
	}
	if v.Stats.More["locks held throughout"] = len(s.pins) - len(s.lost); v.Valid && len(s.pins) == 0 {
		v.Valid, v.Unknown, v.Reason = false, true, "no lock was taken"
	}
	return v
}
