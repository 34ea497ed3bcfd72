package httpapi

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/lockstepkv/lockstep/api/router"
	"github.com/lockstepkv/lockstep/api/router/routertest"
)

// TestChargesFollowWhatCame: bodies of which little has come, however long they may get,
// leave the budget to others.
func TestChargesFollowWhatCame(t *testing.T) {
	b := newBudget(8 << 20)
	for range 100 {
		if err := b.open(nil).grow(t.Context(), freeBytes); err != nil {
			t.Fatal(err)
		}
	}
	c := b.open(nil)
	for n := int64(1 << 17); n <= 8<<20; n *= 2 {
		if err := c.grow(t.Context(), n); err != nil {
			t.Fatalf("at %d: %v", n, err)
		}
	}
	if taken, _ := b.figures(); taken != 8<<20 {
		t.Errorf("%d bytes are taken", taken)
	}
	c.release()
	if taken, _ := b.figures(); taken != 0 {
		t.Errorf("%d bytes are taken in the end", taken)
	}
}

// waits checks that a body waits for memory, and returns how it ends.
func waits(t *testing.T, b *budget, c *charge, n int64) <-chan error {
	t.Helper()
	b.mu.Lock()
	before, refused := len(b.waiting), b.refused
	b.mu.Unlock()
	outcome := make(chan error, 1)
	go func() { outcome <- c.grow(t.Context(), n) }()
	for deadline := time.Now().Add(time.Minute); ; {
		b.mu.Lock()
		seen := len(b.waiting) > before || b.refused > refused
		b.mu.Unlock()
		if seen {
			return outcome
		}
		if time.Now().After(deadline) {
			t.Fatal("it does not wait")
		}
	}
}

// TestBodiesDoNotBlockEachOther: two that have taken everything between them and want more
// would wait for each other. The one that began first goes on.
func TestBodiesDoNotBlockEachOther(t *testing.T) {
	b := newBudget(8 << 20)
	first, second, third := b.open(nil), b.open(nil), b.open(nil)
	for _, c := range []*charge{first, second} {
		if err := c.grow(t.Context(), 4<<20); err != nil {
			t.Fatal(err)
		}
	}
	newcomer := waits(t, b, third, 2<<20)
	one := waits(t, b, first, 8<<20)
	if err := second.grow(t.Context(), 6<<20); err != errNoBudget {
		t.Fatalf("the second: %v", err)
	}
	second.release()
	if err := <-one; err != nil {
		t.Fatalf("the first: %v", err)
	}
	first.release()
	if err := <-newcomer; err != nil {
		t.Fatalf("the third: %v", err)
	}
}

// TestSmallBodiesPassLargeOnes that wait.
func TestSmallBodiesPassLargeOnes(t *testing.T) {
	b := newBudget(8 << 20)
	holder, large, small := b.open(nil), b.open(nil), b.open(nil)
	if err := holder.grow(t.Context(), 6<<20); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- large.grow(ctx, 8<<20) }()
	if err := small.grow(t.Context(), 1<<20); err != nil {
		t.Error(err)
	}
	cancel()
	if err := <-ended; err != errNoBudget {
		t.Error(err)
	}
}

// TestBudgetAddsUp: many bodies at once, some of which give up, leave nothing behind, and
// never take more than there is.
func TestBudgetAddsUp(t *testing.T) {
	b := newBudget(4 << 20)
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			for range 20 {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i)*time.Millisecond)
				c := b.open(nil)
				for n := int64(1 << 17); n <= 2<<20 && c.grow(ctx, n) == nil; n *= 2 {
					if taken, _ := b.figures(); taken < 0 || taken > 4<<20 {
						t.Errorf("%d bytes are taken", taken)
					}
				}
				c.release()
				cancel()
			}
		})
	}
	wg.Wait()
	if b.free != b.limit || len(b.holding) != 0 || len(b.waiting) != 0 {
		t.Errorf("left: %d of %d free, %d holding, %d waiting", b.free, b.limit, len(b.holding), len(b.waiting))
	}
}

// TestBodiesComeWhole, in whatever pieces, with a length and without.
func TestBodiesComeWhole(t *testing.T) {
	b := newBudget(8 << 20)
	for _, size := range []int{0, 1, firstBytes - 1, firstBytes, firstBytes + 1, freeBytes, freeBytes + 1, 1 << 20} {
		text := strings.Repeat("x", size)
		for name, in := range map[string]io.Reader{
			"whole": strings.NewReader(text), "halves": iotest.HalfReader(strings.NewReader(text)),
			"with the end": iotest.DataErrReader(strings.NewReader(text)),
		} {
			for _, most := range []int64{int64(size), 4 << 20} {
				c := b.open(nil)
				got, err := readCharged(t.Context(), in, c, most, false)
				c.release()
				if err != nil || string(got) != text {
					t.Errorf("%s of %d, at most %d: %d, %v", name, size, most, len(got), err)
				}
				in = strings.NewReader(text)
			}
		}
		if size > 0 {
			if _, err := readCharged(t.Context(), strings.NewReader(text+"y"), b.open(nil), int64(size), true); bodyProblem(err, 1).(problem).Status != 413 {
				t.Errorf("%d and one more: %v", size, err)
			}
		}
	}
}

func putRequestOf(t *testing.T, addr string, size int) *http.Request {
	t.Helper()
	req, err := http.NewRequest("PUT", "http://"+addr+"/v1/keys/quick", strings.NewReader(strings.Repeat("x", size)))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", octetStream)
	return req
}

// TestSlowUploadsLeaveOthersAlone: a hundred bodies without a length, and as many with a
// great one, have begun and stay; others are answered.
func TestSlowUploadsLeaveOthersAlone(t *testing.T) {
	f := newFixture(t, routertest.Options{}, router.Config{}, Options{MaxValueBytes: 1 << 20})
	addr := served(t, f)
	for i := range 100 {
		for _, length := range []string{"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", "Content-Length: 1000000\r\n\r\nhello"} {
			c := connect(t, addr)
			fmt.Fprintf(c, "PUT /v1/keys/slow%d HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: %s\r\n%s", i, octetStream, length)
		}
	}
	for _, size := range []int{1, 100 << 10, 1 << 20} {
		for _, length := range []int64{-1, int64(size)} {
			req := putRequestOf(t, addr, size)
			req.ContentLength = length
			res, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			if res.StatusCode != 200 {
				t.Errorf("%d bytes, length %d: %d", size, length, res.StatusCode)
			}
		}
	}
}

// gauge is the value of one without labels.
func gauge(t *testing.T, reg *prometheus.Registry, name string) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	t.Fatalf("there is no %s", name)
	return 0
}

// TestStalledUploadsGiveWay: bodies that have taken all memory and stand still end when
// others need it.
func TestStalledUploadsGiveWay(t *testing.T) {
	const value = 1 << 20
	reg := prometheus.NewRegistry()
	f := newFixture(t, routertest.Options{}, router.Config{}, Options{MaxValueBytes: value, Registerer: reg})
	srv, addr := serve(t, ServerOptions{Handler: f, StallTimeout: time.Hour})
	limit := bodyBudget(0, value, 6*value+maxOverhead)
	poll(t, "no value fits beside what is awaited", func() bool {
		if srv.Connections() < int(limit/value)+2 { // some may have been refused
			c := connect(t, addr)
			go func() {
				fmt.Fprintf(c, "PUT /v1/keys/slow HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s", octetStream, value, strings.Repeat("x", value-1))
			}()
		}
		return gauge(t, reg, "lockstep_http_body_bytes") > float64(limit-value) || srv.Counts().StalledBodies > 0
	})
	res, err := http.DefaultClient.Do(putRequestOf(t, addr, value))
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != 200 {
		t.Errorf("beside stalled uploads: %d", res.StatusCode)
	}
	if srv.Counts().StalledBodies == 0 {
		t.Error("no upload gave way")
	}
}

// TestOneBodyLeavesSomeToOthers: a quarter at least.
func TestOneBodyLeavesSomeToOthers(t *testing.T) {
	for value := int64(1 << 10); value <= 512<<20; value = value*3/2 + 1 {
		largest := 6*value + maxOverhead
		if limit := bodyBudget(0, value, largest); largest > limit-limit/4 {
			t.Errorf("of %d bytes one body of %d takes more than three quarters", limit, largest)
		}
	}
}
