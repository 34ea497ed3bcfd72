package clientmem

import (
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
)

// kept is an account whose end is noted.
type kept struct {
	*Account
	ended atomic.Bool
}

func open(b *Budget) *kept {
	k := new(kept)
	k.Account = b.Open(func() { k.ended.Store(true) })
	return k
}

func TestLargestIsEndedFirst(t *testing.T) {
	b := New(100 << 10)
	small, large, middle := open(b), open(b), open(b)
	small.Add(Base, 10<<10)
	large.Add(Query, 50<<10)
	middle.Add(Watch, 30<<10)
	if b.Evicted() != 0 {
		t.Fatal("somebody was ended within the limit")
	}
	small.Add(Queue, 15<<10)
	if small.ended.Load() || middle.ended.Load() || !large.ended.Load() || b.Evicted() != 1 {
		t.Fatalf("ended: small %v, middle %v, large %v", small.ended.Load(), middle.ended.Load(), large.ended.Load())
	}
	// What is on its way out ends nobody else, even if it grows.
	large.Add(Reply, 90<<10)
	small.Add(Queue, 10<<10)
	if small.ended.Load() || middle.ended.Load() {
		t.Error("others were ended for what goes away anyway")
	}
	if got := b.Figures().Total; got != 205<<10 {
		t.Errorf("counted %d bytes", got)
	}
	large.Close()
	if got := b.Figures().Total; got != 65<<10 || b.used.Load() != got || b.doomed.Load() != 0 {
		t.Errorf("after it has closed: %d bytes, used %d, on the way out %d", got, b.used.Load(), b.doomed.Load())
	}
	large.Add(Reply, 1<<20)
	if b.used.Load() != 65<<10 {
		t.Error("a closed account counts")
	}
}

func TestProtectedIsNotEnded(t *testing.T) {
	b := New(10 << 10)
	safe, other := open(b), open(b)
	safe.Protect(true)
	other.Add(Base, 2<<10)
	safe.Add(Query, 20<<10)
	if safe.ended.Load() || !other.ended.Load() {
		t.Errorf("protected ended: %v, other ended: %v", safe.ended.Load(), other.ended.Load())
	}
	safe.Protect(false)
	safe.Add(Query, 2<<10)
	if !safe.ended.Load() {
		t.Error("not ended though no longer protected")
	}
}

func TestLowerLimitEndsAtOnce(t *testing.T) {
	b := New(0)
	var all []*kept
	for i := range 10 {
		k := open(b)
		k.Add(Query, int64(i+1)*10<<10)
		all = append(all, k)
	}
	b.SetLimit(100 << 10) // of 550: the largest have to go until 100 are left
	for i, k := range all {
		if want := i >= 4; k.ended.Load() != want {
			t.Errorf("account of %d KiB ended: %v", 10*(i+1), k.ended.Load())
		}
	}
	if b.Evicted() != 6 {
		t.Errorf("%d ended", b.Evicted())
	}
}

func TestWhatCanBeRefusedIsRefused(t *testing.T) {
	b := New(100 << 10)
	a, request := open(b), b.Open(nil)
	a.Add(Query, 60<<10)
	if !request.Take(Body, 40<<10) || request.Take(Body, 2<<10) {
		t.Error("taken beyond the limit, or refused within")
	}
	if a.ended.Load() || b.Refused() != 1 || request.Total() != 40<<10 {
		t.Errorf("ended %v, refused %d, the request holds %d", a.ended.Load(), b.Refused(), request.Total())
	}
	if !a.Fits(-20<<10) || a.Fits(0) || b.Share() != 50<<10 {
		t.Error("a share is not half")
	}
	b.SetLimit(0)
	if !request.Take(Body, 1<<40) || !a.Fits(1<<40) {
		t.Error("refused without a limit")
	}
}

func TestNoAccountCountsNothing(t *testing.T) {
	var a *Account
	a.Add(Query, 1<<20)
	a.Set(Reply, 1<<20)
	a.Protect(true)
	if !a.Take(Body, 1<<40) || !a.Fits(1<<40) || a.Total() != 0 || a.Of(Query) != 0 || a.Doomed() {
		t.Error("a nil account counts")
	}
	a.Close()
}

// Whatever runs at once, in the end the budget has the sum of the accounts, within a step for each.
func TestSumsHoldUnderConcurrency(t *testing.T) {
	b := New(2 << 20)
	accounts := make([]*kept, 16)
	for i := range accounts {
		accounts[i] = open(b)
	}
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(1, uint64(g)))
			for range 5000 {
				a, n := accounts[r.IntN(len(accounts))], int64(r.IntN(20_000))
				switch r.IntN(3) {
				case 0:
					a.Add(Query, n)
					a.Add(Query, -n)
				case 1:
					if a.Take(Body, n) {
						a.Add(Body, -n)
					}
				default:
					a.Add(Watch, n%100)
				}
			}
		})
	}
	wg.Wait()
	f := b.Figures()
	if off := f.Total - b.used.Load(); off > int64(len(accounts))*step || off < -int64(len(accounts))*step {
		t.Errorf("accounts have %d, the budget %d", f.Total, b.used.Load())
	}
	for _, a := range accounts {
		a.Close()
	}
	if b.used.Load() != 0 || b.doomed.Load() != 0 || b.Figures().Total != 0 {
		t.Errorf("used %d, on the way out %d after all have closed", b.used.Load(), b.doomed.Load())
	}
}

// A connection whose buffers have their size touches nothing that is shared.
func TestSmallChangesStayWithTheAccount(t *testing.T) {
	b := New(1 << 20)
	a := b.Open(nil)
	a.Set(Query, 4<<10)
	told := b.used.Load()
	for range 100 {
		a.Set(Query, 4<<10+step/2)
		a.Set(Query, 4<<10)
	}
	if b.used.Load() != told || told != 4<<10 {
		t.Errorf("told %d, then %d", told, b.used.Load())
	}
}

func TestAllocIsWhatTheAllocatorTakes(t *testing.T) {
	for _, size := range []int{16, 17, 24, 40, 100, 200, 300, 500, 600, 1000, 1100, 3000, 9000, 20_000, 33_000, 100_000} {
		const total = 8 << 20
		n := total / size
		if size < 100 {
			n = 100_000
		}
		kept := make([][]byte, n)
		before := heap()
		for i := range kept {
			kept[i] = make([]byte, size)
		}
		grown := float64(heap()-before) / float64(n)
		runtime.KeepAlive(kept)
		if got := float64(Alloc(size)); got < 0.85*grown || got > 1.2*grown {
			t.Errorf("%d bytes: estimated %v, takes %.1f", size, got, grown)
		}
	}
	if Alloc(0) != 0 {
		t.Error("nothing takes something")
	}
}

func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
