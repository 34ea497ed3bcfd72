package transport

import (
	"context"
	"io"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

func benchPair(b *testing.B) *cluster {
	c := newCluster(b, 2)
	c.startAll()
	for _, n := range c.nodes {
		n.Handle(mEcho, echo)
		n.HandleInline(mInline, echo)
	}
	return c
}

// One caller: reports the median round trip.
func BenchmarkCallLatency(b *testing.B) {
	for name, m := range map[string]Method{"inline": mInline, "goroutine": mEcho} {
		b.Run(name, func(b *testing.B) {
			n1 := benchPair(b).nodes["n1"]
			ctx, req := context.Background(), make([]byte, 100)
			took := make([]time.Duration, 0, b.N)
			b.ReportAllocs()
			for b.Loop() {
				began := time.Now()
				if _, err := n1.Call(ctx, "n2", m, req); err != nil {
					b.Fatal(err)
				}
				took = append(took, time.Since(began))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Nanoseconds())/1000, "p50-us")
			b.ReportMetric(float64(took[len(took)*99/100].Nanoseconds())/1000, "p99-us")
		})
	}
}

// Fifty callers: ns/op is the time per call of all together.
func BenchmarkCallThroughput(b *testing.B) {
	for name, m := range map[string]Method{"inline": mInline, "goroutine": mEcho} {
		b.Run(name, func(b *testing.B) {
			n1 := benchPair(b).nodes["n1"]
			b.ReportAllocs()
			callers(b, 50, func(ctx context.Context, req []byte) error {
				_, err := n1.Call(ctx, "n2", m, req)
				return err
			})
		})
	}
}

func callers(b *testing.B, n int, call func(context.Context, []byte) error) {
	var wg sync.WaitGroup
	var left atomic.Int64
	left.Store(int64(b.N))
	b.ResetTimer()
	for range n {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			req := make([]byte, 100)
			for left.Add(-1) >= 0 {
				if err := call(ctx, req); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
}

// plainStream is the stream layer that raft.NewTCPTransport uses.
type plainStream struct{ net.Listener }

func (plainStream) Dial(addr raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	return net.DialTimeout("tcp", string(addr), timeout)
}

// Appends of 16 KiB through the pipeline, one at a time, beside the library's
// own transport.
func BenchmarkRaftAppend(b *testing.B) {
	b.Run("group", func(b *testing.B) {
		c := newCluster(b, 2)
		c.startAll()
		from, to := c.nodes["n1"].Group(1), c.nodes["n2"].Group(1)
		benchAppend(b, from, to, "n2")
	})
	b.Run("plain", func(b *testing.B) {
		var trans [2]*raft.NetworkTransport
		for i := range trans {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				b.Fatal(err)
			}
			trans[i] = raft.NewNetworkTransport(plainStream{l}, 3, 10*time.Second, io.Discard)
			defer trans[i].Close()
			defer trans[i].CloseStreams()
		}
		benchAppend(b, trans[0], trans[1], trans[1].LocalAddr())
	})
}

func benchAppend(b *testing.B, from, to raft.Transport, addr raft.ServerAddress) {
	done := make(chan struct{})
	defer close(done)
	go func() {
		for {
			select {
			case rpc := <-to.Consumer():
				rpc.Respond(&raft.AppendEntriesResponse{Term: 1, Success: true}, nil)
			case <-done:
				return
			}
		}
	}()
	pipe, err := from.AppendEntriesPipeline("n2", addr)
	if err != nil {
		b.Fatal(err)
	}
	defer pipe.Close()
	req := &raft.AppendEntriesRequest{
		RPCHeader: raft.RPCHeader{ProtocolVersion: 3, ID: []byte("n1"), Addr: []byte("n1")},
		Term:      1, Leader: []byte("n1"), PrevLogEntry: 1, PrevLogTerm: 1,
		Entries: []*raft.Log{{Index: 2, Term: 1, Data: make([]byte, 16<<10), AppendedAt: time.Now()}},
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := pipe.AppendEntries(req, new(raft.AppendEntriesResponse)); err != nil {
			b.Fatal(err)
		}
		<-pipe.Consumer()
	}
}
