package respapi

import (
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
)

// idleClients is bounded by the files that one process may open: both ends of
// each connection live in this one. The cost is linear in it.
const idleClients = 2000

// An idle connection costs less than 12 KiB, so 10,000 of them less than 120 MiB.
// The figure includes the test's own end of the connection.
func TestIdleConnectionsAreCheap(t *testing.T) {
	f := &fake{}
	_, addr := start(t, f, nil)
	before := inUse()
	clients := make([]net.Conn, idleClients)
	for i := range clients {
		clients[i] = dial(t, addr)
		ping(t, clients[i])
	}
	per := (inUse() - before) / idleClients
	t.Logf("%d bytes per idle connection, both ends", per)
	if per > 12<<10 {
		t.Errorf("an idle connection costs %d bytes", per)
	}
	ping(t, clients[0])
}

// inUse is the memory of heap and stacks.
func inUse() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse + m.StackInuse)
}

func benchmarkPipeline(b *testing.B, depth int) {
	_, addr := start(b, &fake{}, nil)
	c := dial(b, addr)
	in := []byte(strings.Repeat("*2\r\n$4\r\nECHO\r\n$16\r\nkey:000000000001\r\n", depth))
	out := make([]byte, depth*len("$16\r\nkey:000000000001\r\n"))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Write(in); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(c, out); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N*depth)/b.Elapsed().Seconds(), "commands/s")
}

func BenchmarkPipeline1(b *testing.B)   { benchmarkPipeline(b, 1) }
func BenchmarkPipeline16(b *testing.B)  { benchmarkPipeline(b, 16) }
func BenchmarkPipeline500(b *testing.B) { benchmarkPipeline(b, 500) }
