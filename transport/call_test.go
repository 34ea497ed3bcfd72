package transport

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lockstepkv/lockstep/internal/clock"
)

const (
	mEcho Method = iota + 1
	mInline
	mFail
	mBlock
	mBig
	mMissing
)

func TestCallsOfAllSizes(t *testing.T) {
	c := newCluster(t, 2)
	c.startAll()
	for _, n := range c.nodes {
		n.Handle(mEcho, echo)
		n.HandleInline(mInline, echo)
	}
	for _, size := range []int{0, 1, 1000, copyBytes, copyBytes + 1, readBufferBytes, bigBytes, bigBytes + 1, 3 << 20, trustBytes + 5, 40 << 20} {
		req := bytes.Repeat([]byte{byte(size), 7, 1}, size/3+1)[:size]
		for _, m := range []Method{mEcho, mInline} {
			for _, to := range []string{"n1", "n2"} {
				got, err := c.nodes["n1"].CallParts(within(t, time.Minute), to, m, req[:size/9], req[size/9:size/3], req[size/3:])
				if err != nil || !bytes.Equal(got, req) {
					t.Fatalf("method %d to %s with %d bytes: %d bytes, %v", m, to, size, len(got), err)
				}
			}
		}
	}
}

func TestConcurrentCallsGetTheirOwnReplies(t *testing.T) {
	c := newCluster(t, 2)
	c.startAll()
	c.nodes["n2"].Handle(mEcho, echo)
	c.nodes["n2"].HandleInline(mInline, echo)
	c.nodes["n1"].HandleInline(mInline, echo)
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			for j := range 200 {
				req := fmt.Appendf(nil, "%d/%d", i, j)
				if j%50 == 0 {
					req = append(req, make([]byte, 100<<10*(j/50))...)
				}
				got, err := c.nodes["n1"].Call(context.Background(), "n2", Method(1+i%2), req)
				if err != nil || !bytes.Equal(got, req) {
					t.Errorf("call %d/%d: %.20q, %v", i, j, got, err)
				}
			}
		})
	}
	wg.Wait()
}

// endsWhen is a context whose deadline passes when over is closed.
type endsWhen struct {
	context.Context
	over chan struct{}
}

func (c endsWhen) Done() <-chan struct{} { return c.over }

func (c endsWhen) Err() error {
	select {
	case <-c.over:
		return context.DeadlineExceeded
	default:
		return nil
	}
}

func TestErrorsTellWhatHappened(t *testing.T) {
	c := newCluster(t, 3)
	n1, n2 := c.start("n1"), c.start("n2")
	c.connected(n1, "n2")
	n2.Handle(mFail, func(context.Context, string, []byte) ([]byte, error) { return nil, errors.New("no luck") })
	meanwhile := endsWhen{context.Background(), make(chan struct{})}
	n2.Handle(mBlock, func(ctx context.Context, _ string, _ []byte) ([]byte, error) {
		close(meanwhile.over)
		<-ctx.Done()
		return nil, ctx.Err()
	})
	ctx := within(t, time.Minute)
	past, cancel := context.WithDeadline(context.Background(), time.Now().Add(-time.Second))
	defer cancel()
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	for _, tc := range []struct {
		name string
		ctx  context.Context
		to   string
		m    Method
		want []error
	}{
		{"no such method", ctx, "n2", mMissing, []error{ErrNotSent}},
		{"no such method here", ctx, "n1", mMissing, []error{ErrNotSent}},
		{"unknown node", ctx, "n9", mEcho, []error{ErrNotSent, ErrUnknownPeer}},
		{"node that is down", ctx, "n3", mEcho, []error{ErrNotSent}},
		{"deadline passed before", past, "n2", mEcho, []error{ErrNotSent, context.DeadlineExceeded}},
		{"canceled before", gone, "n2", mEcho, []error{ErrNotSent, context.Canceled}},
		{"deadline passes meanwhile", meanwhile, "n2", mBlock, []error{ErrInDoubt, context.DeadlineExceeded}},
	} {
		_, err := n1.Call(tc.ctx, tc.to, tc.m, nil)
		for _, want := range tc.want {
			if !errors.Is(err, want) {
				t.Errorf("%s: %v, want %v", tc.name, err, want)
			}
		}
		if errors.Is(err, ErrNotSent) && errors.Is(err, ErrInDoubt) {
			t.Errorf("%s: both definite and in doubt: %v", tc.name, err)
		}
	}
	_, err := n1.Call(ctx, "n2", mFail, nil)
	var remote *RemoteError
	if !errors.As(err, &remote) || remote.Text != "no luck" || remote.Peer != "n2" || remote.Method != mFail {
		t.Errorf("handler's error came as %v", err)
	}
}

func TestDeadlineReachesTheHandler(t *testing.T) {
	c := newCluster(t, 2)
	c.startAll()
	left := make(chan time.Duration, 1)
	ended := make(chan error, 1)
	c.nodes["n2"].Handle(mBlock, func(ctx context.Context, from string, _ []byte) ([]byte, error) {
		at, ok := ctx.Deadline()
		if !ok || from != "n1" {
			return nil, fmt.Errorf("from %s, deadline %v", from, ok)
		}
		left <- time.Until(at)
		child, cancel := context.WithCancel(ctx)
		defer cancel()
		<-child.Done()
		ended <- context.Cause(child)
		return nil, ctx.Err()
	})
	const patience = 3 * time.Second // enough to be sent in, and to come
	_, err := c.nodes["n1"].Call(within(t, patience), "n2", mBlock, nil)
	if !errors.Is(err, ErrInDoubt) {
		t.Fatal(err)
	}
	if d := <-left; d > patience || d < patience/10 {
		t.Fatalf("the handler has %v left", d)
	}
	if err := <-ended; !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("the handler's context ended with %v", err)
	}
}

func TestCallsInFlightFailInDoubtWhenThePeerDies(t *testing.T) {
	c := newCluster(t, 2)
	c.startAll()
	n1, n2 := c.nodes["n1"], c.nodes["n2"]
	entered := make(chan struct{})
	n2.Handle(mBlock, func(ctx context.Context, _ string, _ []byte) ([]byte, error) {
		close(entered)
		<-ctx.Done()
		return nil, ctx.Err()
	})
	failed := make(chan error, 1)
	go func() {
		_, err := n1.Call(context.Background(), "n2", mBlock, nil)
		failed <- err
	}()
	<-entered
	n2.Close()
	if err := <-failed; !errors.Is(err, ErrInDoubt) {
		t.Fatalf("call in flight: %v", err)
	}
	eventually(t, "calls fail at once", func() bool {
		_, err := n1.Call(context.Background(), "n2", mEcho, nil)
		return errors.Is(err, ErrNotSent)
	})
	eventually(t, "a dead peer is not connected", func() bool { return !n1.Health("n2").Connected })
	began := time.Now()
	c.start("n2").Handle(mEcho, echo)
	eventually(t, "calls work again", func() bool {
		_, err := n1.Call(context.Background(), "n2", mEcho, nil)
		return err == nil
	})
	t.Logf("calls work %v after the restart", time.Since(began))
}

func TestSilentPeerIsFoundOut(t *testing.T) {
	faults := NewFaults()
	c := newCluster(t, 3)
	for id := range c.peers {
		c.start(id, func(o *Options) {
			if id == "n1" {
				o.Fault = faults
			}
		}).Handle(mEcho, echo)
	}
	n1 := c.nodes["n1"]
	c.connected(n1, "n2")
	c.connected(n1, "n3")
	faults.Set("n2", Both, Drop)
	began := time.Now()
	_, err := n1.Call(within(t, time.Minute), "n2", mEcho, nil)
	took := time.Since(began)
	if !errors.Is(err, ErrInDoubt) || !errors.Is(err, ErrSilent) {
		t.Fatalf("call to a silent peer: %v", err)
	}
	t.Logf("found out after %v", took)
	if took > 30*time.Second { // half of what the call has
		t.Fatalf("found out after %v only", took)
	}
	if _, err := n1.Call(within(t, time.Minute), "n3", mEcho, nil); err != nil {
		t.Fatalf("another peer suffers: %v", err)
	}
	_, err = n1.Call(within(t, time.Minute), "n2", mEcho, nil)
	if !errors.Is(err, ErrNotSent) {
		t.Fatalf("call to a peer known to be silent: %v", err)
	}
	faults.Heal()
	eventually(t, "calls work again", func() bool {
		_, err := n1.Call(within(t, time.Second), "n2", mEcho, nil)
		return err == nil
	})
	faults.Set("n2", Both, Refuse)
	eventually(t, "calls are refused", func() bool {
		_, err := n1.Call(within(t, time.Second), "n2", mEcho, nil)
		return errors.Is(err, ErrNotSent)
	})
}

// A peer that stops reading must hold up neither callers beyond their deadline
// nor calls to others.
func TestBlockedPeerHoldsUpNobody(t *testing.T) {
	faults := NewFaults()
	c := newCluster(t, 3)
	for id := range c.peers {
		c.start(id, func(o *Options) {
			if id == "n2" {
				o.Fault = faults
			}
		}).Handle(mEcho, echo)
	}
	n1 := c.nodes["n1"]
	c.connected(n1, "n2")
	c.connected(n1, "n3")
	faults.Set("n1", Inbound, Drop)
	var wg sync.WaitGroup
	var mu sync.Mutex
	var late, others time.Duration // after the deadline: callers, and who only waits for it on a busy machine
	after := func(most *time.Duration, d time.Duration) {
		mu.Lock()
		defer mu.Unlock()
		*most = max(*most, d)
	}
	for range 100 {
		ctx := within(t, 200*time.Millisecond)
		deadline, _ := ctx.Deadline()
		wg.Go(func() {
			_, err := n1.Call(ctx, "n2", mEcho, make([]byte, 200<<10))
			if err == nil {
				t.Error("a blocked peer answered")
			}
			after(&late, time.Since(deadline))
		})
		wg.Go(func() {
			<-ctx.Done()
			after(&others, time.Since(deadline))
		})
	}
	for range 100 {
		if _, err := n1.Call(within(t, time.Minute), "n3", mEcho, []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	wg.Wait()
	if late > time.Second+2*others {
		t.Fatalf("a caller was held for %v after its deadline, others for %v", late, others)
	}
}

// A large message in either direction must not hold up small ones.
func TestLargeMessagesTravelApart(t *testing.T) {
	c := newCluster(t, 2)
	c.startAll()
	n1, n2 := c.nodes["n1"], c.nodes["n2"]
	big := make([]byte, 64<<20)
	n2.Handle(mEcho, echo)
	n2.Handle(mBig, func(context.Context, string, []byte) ([]byte, error) { return big, nil })
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for range 2 {
		wg.Go(func() {
			for {
				got, err := n1.Call(context.Background(), "n2", mBig, nil)
				if err != nil || len(got) != len(big) {
					t.Errorf("%d bytes, %v", len(got), err)
				}
				select {
				case <-stop:
					return
				default:
				}
			}
		})
	}
	for range 200 {
		if _, err := n1.Call(within(t, time.Minute), "n2", mEcho, []byte("small")); err != nil {
			t.Fatal(err)
		}
	}
	if n := n2.all()["n1"].links[linkBulk].conn.Load(); n == nil {
		t.Fatal("a busy connection was taken for dead")
	}
	close(stop)
	wg.Wait()
	n2.parking.mu.Lock()
	defer n2.parking.mu.Unlock()
	if n := len(n2.parking.replies); n != 0 {
		t.Fatalf("%d replies are still parked", n)
	}
}

func TestProbesCompareClocks(t *testing.T) {
	wall := clock.NewManual(1_000_000)
	fast := clock.NewManual(1_000_750)
	c := newCluster(t, 2)
	n1 := c.start("n1", func(o *Options) { o.Clock = wall })
	c.start("n2", func(o *Options) { o.Clock = fast })
	eventually(t, "the offset is known", func() bool {
		h := n1.Health("n2")
		return h.ClockKnown && h.ClockOffset == 750*time.Millisecond && h.Connected && !h.LastSeen.IsZero()
	})
	fast.StepWall(-2 * time.Second)
	eventually(t, "a step is noticed", func() bool {
		return n1.Health("n2").ClockOffset == -1250*time.Millisecond
	})
	if h := n1.Health("n9"); h.Connected || h.ClockKnown {
		t.Fatalf("an unknown node is healthy: %+v", h)
	}
}

func TestCloseWaitsForHandlers(t *testing.T) {
	c := newCluster(t, 2)
	c.startAll()
	n1, n2 := c.nodes["n1"], c.nodes["n2"]
	var returned atomic.Bool
	entered := make(chan struct{})
	n2.Handle(mBlock, func(ctx context.Context, _ string, _ []byte) ([]byte, error) {
		close(entered)
		<-ctx.Done()
		<-time.After(50 * time.Millisecond)
		returned.Store(true)
		return nil, nil
	})
	go n1.Call(context.Background(), "n2", mBlock, nil)
	<-entered
	if err := n2.Close(); err != nil {
		t.Fatal(err)
	}
	if !returned.Load() {
		t.Fatal("Close returned while a handler ran")
	}
	if _, err := n2.Call(context.Background(), "n1", mEcho, nil); !errors.Is(err, ErrNotSent) {
		t.Fatalf("call on a closed transport: %v", err)
	}
}
