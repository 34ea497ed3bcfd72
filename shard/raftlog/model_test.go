package raftlog

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	"pgregory.net/rapid"
)

// model is the log as a slice.
type model struct {
	logs   []*raft.Log
	stable map[string]string
}

func (m *model) bytesAfter(index uint64) (sum int64) {
	for _, l := range m.logs {
		if l.Index > index {
			sum += entryBytes(len(l.Data), len(l.Extensions))
		}
	}
	return sum
}

func (m *model) trailingWithin(maxBytes int64) (n uint64) {
	for _, l := range slices.Backward(m.logs) {
		if maxBytes -= entryBytes(len(l.Data), len(l.Extensions)); maxBytes < 0 {
			break
		}
		n++
	}
	return n
}

// A Store and the model get the same random history, reopening included; readers run beside it and must
// see nothing but entries that were stored.
func historiesMatchModel(t *testing.T, engine string) {
	rapid.Check(t, func(rt *rapid.T) {
		h := &history{t: t, rt: rt, term: 1, m: model{stable: map[string]string{}}, o: Options{
			Dir: t.TempDir(), Engine: engine, SegmentBytes: 4 << 10,
			CacheBytes: rapid.SampledFrom([]int64{-1, 500, 5000, 1 << 20}).Draw(rt, "cache"),
		}}
		free := rapid.SampledFrom([]int64{0, 2 << 10, 1 << 30}).Draw(rt, "free")
		h.o.Free = func() (int64, error) { return free, nil }
		h.open()
		rt.Repeat(map[string]func(*rapid.T){
			"store": h.store, "deleteHead": h.deleteHead, "deleteTail": h.deleteTail, "reopen": func(*rapid.T) { h.reopen() },
			"set": h.set, "read": h.read, "": func(*rapid.T) { h.check() },
		})
		h.close()
	})
}

type history struct {
	t       *testing.T
	rt      *rapid.T
	o       Options
	s       *Store
	m       model
	term    uint64
	stop    chan struct{}
	readers sync.WaitGroup
}

func (h *history) open() {
	s, err := Open(h.o)
	if err != nil {
		h.rt.Fatal(err)
	}
	h.s, h.stop = s, make(chan struct{})
	h.readers.Go(func() { h.readBeside(s, h.stop) })
}

func (h *history) close() {
	close(h.stop)
	h.readers.Wait()
	if err := h.s.Close(); err != nil {
		h.rt.Fatal(err)
	}
}

func (h *history) reopen() {
	h.close()
	h.open()
}

// readBeside runs in its own goroutine; entry contents follow from index and term.
func (h *history) readBeside(s *Store, stop chan struct{}) {
	pace := time.NewTicker(50 * time.Microsecond)
	defer pace.Stop()
	for i := uint64(0); ; i++ {
		select {
		case <-stop:
			return
		case <-pace.C:
		}
		first, last := s.bounds()
		if last == 0 {
			continue
		}
		index := first + i%(last-first+1)
		var l raft.Log
		switch err := s.GetLog(index, &l); {
		case errors.Is(err, raft.ErrLogNotFound):
		case err != nil:
			h.t.Errorf("concurrent read of %d: %v", index, err)
		default:
			want := entry(index, l.Term, len(l.Data))
			if !sameEntry(want, &l) {
				h.t.Errorf("concurrent read of %d: %+v", index, l)
			}
		}
		s.BytesAfter(first)
	}
}

func (h *history) store(rt *rapid.T) {
	next := uint64(rapid.IntRange(1, 1000).Draw(rt, "start"))
	if n := len(h.m.logs); n > 0 {
		next = h.m.logs[n-1].Index + 1
	}
	var logs []*raft.Log
	for i := range rapid.IntRange(1, 8).Draw(rt, "n") {
		logs = append(logs, entry(next+uint64(i), h.term, rapid.IntRange(0, 900).Draw(rt, "size")))
	}
	if err := h.s.StoreLogs(logs); err != nil {
		rt.Fatal(err)
	}
	h.m.logs = append(h.m.logs, logs...)
}

func (h *history) deleteHead(rt *rapid.T) {
	if len(h.m.logs) == 0 {
		return
	}
	n := rapid.IntRange(0, len(h.m.logs)).Draw(rt, "n")
	first := h.m.logs[0].Index
	if err := h.s.DeleteRange(first, first+uint64(n)-1); err != nil {
		rt.Fatal(err)
	}
	h.m.logs = h.m.logs[n:]
}

func (h *history) deleteTail(rt *rapid.T) {
	if len(h.m.logs) == 0 {
		return
	}
	n := rapid.IntRange(1, len(h.m.logs)).Draw(rt, "n")
	last := h.m.logs[len(h.m.logs)-1].Index
	if err := h.s.DeleteRange(last-uint64(n)+1, last); err != nil {
		rt.Fatal(err)
	}
	h.m.logs = slices.Clone(h.m.logs[:len(h.m.logs)-n])
	h.term++ // a truncation comes from a new leader
}

func (h *history) set(rt *rapid.T) {
	key := rapid.SampledFrom([]string{"CurrentTerm", "LastVoteCand", "x"}).Draw(rt, "key")
	val := rapid.StringN(0, 20, 40).Draw(rt, "val")
	if err := h.s.Set([]byte(key), []byte(val)); err != nil {
		rt.Fatal(err)
	}
	h.m.stable[key] = val
}

func (h *history) read(rt *rapid.T) {
	for _, w := range h.m.logs {
		var got raft.Log
		if err := h.s.GetLog(w.Index, &got); err != nil || !sameEntry(&got, w) {
			rt.Fatalf("entry %d: %+v, %v", w.Index, got, err)
		}
	}
	if err := h.s.Verify(context.Background()); err != nil {
		rt.Fatal(err)
	}
	for key := range maps.Keys(h.m.stable) {
		if v, err := h.s.Get([]byte(key)); err != nil || string(v) != h.m.stable[key] {
			rt.Fatalf("value of %s: %q, %v", key, v, err)
		}
	}
}

func (h *history) check() {
	var first, last uint64
	if n := len(h.m.logs); n > 0 {
		first, last = h.m.logs[0].Index, h.m.logs[n-1].Index
	}
	if f, l := h.s.bounds(); f != first || l != last {
		h.rt.Fatalf("log holds %d to %d, want %d to %d", f, l, first, last)
	}
	var l raft.Log
	for _, index := range []uint64{0, first - 1, last + 1} {
		if err := h.s.GetLog(index, &l); last > 0 && err != raft.ErrLogNotFound {
			h.rt.Fatalf("entry %d beside the log: %v", index, err)
		}
	}
	for _, index := range []uint64{0, first - 1, first, (first + last) / 2, last, last + 5} {
		if got, want := h.s.BytesAfter(index), h.m.bytesAfter(index); got != want {
			h.rt.Fatalf("BytesAfter(%d) = %d, want %d", index, got, want)
		}
	}
	for _, n := range []int64{-1, 0, 47, 1000, 5000, 1 << 40} {
		if got, want := h.s.TrailingWithin(n), h.m.trailingWithin(n); got != want {
			h.rt.Fatalf("TrailingWithin(%d) = %d, want %d", n, got, want)
		}
	}
}

// The accounting and the cache over many more entries than a disk test can store.
func TestAccountingMatchesModelOverManyChunks(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var s sizeIndex
		c := entryCache{maxBytes: int64(rapid.IntRange(0, 1<<20).Draw(rt, "cache"))}
		var m model
		rt.Repeat(map[string]func(*rapid.T){
			"push": func(rt *rapid.T) {
				next := uint64(rapid.IntRange(1, 1<<40).Draw(rt, "start"))
				if len(m.logs) > 0 {
					next = m.logs[len(m.logs)-1].Index + 1
				}
				for i := range rapid.IntRange(1, 3*sizeChunkLen).Draw(rt, "n") {
					l := &raft.Log{Index: next + uint64(i), Data: make([]byte, i%7)}
					m.logs = append(m.logs, l)
					s.push(l.Index, entryBytes(len(l.Data), 0))
					c.push(l, sumOf(l))
				}
			},
			"head": func(rt *rapid.T) {
				if len(m.logs) > 0 {
					n := rapid.IntRange(1, len(m.logs)).Draw(rt, "n")
					s.dropHead(m.logs[n-1].Index)
					c.dropHead(m.logs[n-1].Index)
					m.logs = m.logs[n:]
				}
			},
			"tail": func(rt *rapid.T) {
				if len(m.logs) > 0 {
					n := rapid.IntRange(1, len(m.logs)).Draw(rt, "n")
					at := len(m.logs) - n
					s.dropTail(m.logs[at].Index)
					c.dropTail(m.logs[at].Index)
					m.logs = slices.Clone(m.logs[:at])
				}
			},
			"": func(rt *rapid.T) {
				if held := c.bytes + cachedOverhead*int64(len(c.ring)); held > c.maxBytes || held != c.held.Load() || c.lo > c.hi {
					rt.Fatalf("cache holds %d of %d bytes, [%d,%d)", held, c.maxBytes, c.lo, c.hi)
				}
				for i := c.lo; i < c.hi; i++ {
					var l raft.Log
					sum, ok := c.get(i, &l)
					if len(m.logs) == 0 || i < m.logs[0].Index || !ok || sum != sumOf(&l) || m.logs[i-m.logs[0].Index].Data == nil != (l.Data == nil) || l.Index != i {
						rt.Fatalf("cached entry %d: %+v", i, l)
					}
				}
				if len(m.logs) == 0 {
					if !s.empty() || s.bytesAfter(0) != 0 {
						rt.Fatal("not empty")
					}
					return
				}
				first := m.logs[0].Index
				for _, index := range []uint64{0, first - 1, first, first + uint64(len(m.logs)/2)} {
					if got, want := s.bytesAfter(index), m.bytesAfter(index); got != want {
						rt.Fatalf("bytesAfter(%d) = %d, want %d", index, got, want)
					}
				}
				for _, n := range []int64{10, 5000, 1 << 40} {
					if got, want := s.trailingWithin(n), m.trailingWithin(n); got != want {
						rt.Fatalf("trailingWithin(%d) = %d, want %d", n, got, want)
					}
				}
			},
		})
	})
}
