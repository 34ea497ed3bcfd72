package respapi

import (
	"bytes"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/lockstepkv/lockstep/api/clientmem"
	"github.com/lockstepkv/lockstep/resp"
)

// A command with many small arguments takes many times its bytes: the count is what the heap grows by.
func TestManySmallArgumentsCountWhatTheyTake(t *testing.T) {
	f := &fake{}
	_, addr := start(t, f, nil)
	c := dial(t, addr)
	part := []byte(strings.Repeat("$1\r\nk\r\n", 1000))
	const parts = 1000
	before := inUse()
	if _, err := fmt.Fprintf(c, "*%d\r\n", 2*parts*1000); err != nil {
		t.Fatal(err)
	}
	for range parts {
		if _, err := c.Write(part); err != nil {
			t.Fatal(err)
		}
	}
	f.mu.Lock()
	mem := f.mem
	f.mu.Unlock()
	eventually(t, "all of it has come", func() bool { return mem.Filled.Load() >= int64(parts*len(part)) })
	grown, counted := float64(inUse()-before), float64(mem.Total())
	if counted < 0.8*grown || counted > 1.25*grown {
		t.Errorf("counted %.0f bytes, the heap grew by %.0f", counted, grown)
	}
	runtime.KeepAlive(c)
}

// A client that holds too much is closed, and what it held is free; others are served.
func TestLargestClientIsClosed(t *testing.T) {
	overBoth(t, func(t *testing.T, plain func(*Options)) {
		f := &fake{}
		_, addr := start(t, f, plain)
		f.memory().SetLimit(2 << 20)
		small, large := dial(t, addr), dial(t, addr)
		ping(t, small)
		go func() { _, _ = large.Write([]byte("*2\r\n$4\r\nECHO\r\n$8000000\r\n" + strings.Repeat("v", 3<<20))) }()
		if _, err := io.ReadAll(large); err != nil && !strings.Contains(err.Error(), "reset") {
			t.Fatal(err)
		}
		ping(t, small)
		eventually(t, "nothing is held", func() bool { return f.memory().Figures().Total < 64<<10 })
		if n := f.memory().Evicted(); n != 1 {
			t.Errorf("%d closed", n)
		}
	})
}

// The output limit may change while the server runs.
func TestOutputLimitIsTuned(t *testing.T) {
	f := &fake{tuning: Tuning{OutputLimit: 1 << 20}}
	_, addr := start(t, f, func(o *Options) { o.OutputPatience = 50 * time.Millisecond })
	c := dial(t, addr)
	one := resp.AppendCommand(nil, [][]byte{[]byte("ECHO"), bytes.Repeat([]byte("v"), 4096)})
	go func() { _, _ = c.Write(bytes.Repeat(one, 10_000)) }()
	eventually(t, "the client is cut off", func() bool { return f.cuts.Load() == 1 && f.Clients() == 0 })
}

// Replies of many elements count while they are written.
func TestElementsOfRepliesCount(t *testing.T) {
	leaf := resp.Array(resp.One, resp.One, resp.One)
	v := resp.Array(leaf, resp.OK, leaf)
	if n := elements(&v); n != 9 {
		t.Errorf("%d elements of 9", n)
	}
	b := clientmem.New(0)
	c := &conn{mem: b.Open(nil), w: resp.NewWriter(io.Discard)}
	c.noteReplies([]resp.Value{v, resp.OK})
	if n := c.mem.Of(clientmem.Reply); n != 9*elemBytes {
		t.Errorf("%d bytes", n)
	}
}
