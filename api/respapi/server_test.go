package respapi

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/lockstepkv/lockstep/api/clientmem"
	"github.com/lockstepkv/lockstep/resp"
)

// talk sends in and returns all that comes until the server closes.
func talk(t *testing.T, addr, in string) string {
	t.Helper()
	c := dial(t, addr)
	if _, err := io.WriteString(c, in); err != nil {
		t.Fatal(err)
	}
	out, err := io.ReadAll(c)
	if err != nil {
		t.Fatalf("after %q: %v", out, err)
	}
	return string(out)
}

func TestConversation(t *testing.T) {
	f := &fake{}
	_, addr := start(t, f, unhurried)
	tests := []struct{ name, in, want string }{
		{"quit drops what follows", "PING\r\nQUIT\r\nPING\r\n", "+PONG\r\n+OK\r\n"},
		{"protocol switches in the middle", "NIL\r\nHELLO\r\nNIL\r\nQUIT\r\n", "$-1\r\n+OK\r\n_\r\n+OK\r\n"},
		{"muted replies are not sent", "PING\r\nMUTE\r\nPING\r\nMUTE\r\nNIL\r\nQUIT\r\n", "+PONG\r\n+OK\r\n$-1\r\n+OK\r\n"},
		{"an error comes after the replies", "PING\r\n*1\r\n@\r\n", "+PONG\r\n-ERR Protocol error: expected '$', got '@'\r\n"},
		{"a browser gets nothing", "PING\r\nPOST / HTTP/1.1\r\nHost: x\r\n\r\n", "+PONG\r\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := talk(t, addr, tt.in); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
	if f.in.Load() == 0 || f.out.Load() == 0 {
		t.Error("traffic is not counted")
	}
}

func TestUnauthenticatedClientsAreHeldShort(t *testing.T) {
	_, addr := start(t, &fake{password: true}, unhurried)
	long := fmt.Sprintf("*2\r\n$4\r\nECHO\r\n$20000\r\n%s\r\n", strings.Repeat("x", 20000))
	if got := talk(t, addr, long); got != "-ERR Protocol error: unauthenticated bulk length\r\n" {
		t.Errorf("got %.100q", got)
	}
	// In one pipeline, after AUTH, more is allowed.
	if got := talk(t, addr, "AUTH x\r\n"+long+"QUIT\r\n"); len(got) < 20000 || strings.Contains(got, "-ERR") {
		t.Errorf("got %.100q", got)
	}
}

func TestPipelineOfManyCommands(t *testing.T) {
	f := &fake{}
	_, addr := start(t, f, nil)
	const n = 50_000
	var in bytes.Buffer
	for i := range n {
		in.Write(resp.AppendCommand(nil, [][]byte{[]byte("ECHO"), fmt.Appendf(nil, "value-%d", i)}))
	}
	c := dial(t, addr)
	go func() { _, _ = c.Write(in.Bytes()) }()
	r := bufio.NewReader(c)
	for i := range n {
		v, err := resp.ReadValue(r)
		if want := fmt.Sprintf("value-%d", i); err != nil || string(v.Str) != want {
			t.Fatalf("reply %d: %q, %v", i, v.Str, err)
		}
	}
	if l := f.largest.Load(); l > chunkCommands || l < 100 {
		t.Errorf("the largest chunk had %d commands", l)
	}
}

func TestLongValue(t *testing.T) {
	_, addr := start(t, &fake{}, nil)
	c := dial(t, addr)
	val := bytes.Repeat([]byte("0123456789abcdef"), 2<<20)
	go func() { _, _ = c.Write(resp.AppendCommand(nil, [][]byte{[]byte("ECHO"), val})) }()
	v, err := resp.ReadValue(bufio.NewReader(c))
	if err != nil || !bytes.Equal(v.Str, val) {
		t.Fatalf("%d bytes, %v", len(v.Str), err)
	}
}

// The error reaches a client that is still sending.
func TestOversizedValueIsAnswered(t *testing.T) {
	_, addr := start(t, &fake{}, func(o *Options) { unhurried(o); o.Limits.MaxBulk = 1 << 20 })
	in := fmt.Sprintf("*2\r\n$4\r\nECHO\r\n$%d\r\n%s\r\n", 8<<20, strings.Repeat("x", 8<<20))
	c := dial(t, addr)
	go func() { _, _ = io.WriteString(c, in) }()
	v, err := resp.ReadValue(bufio.NewReader(c))
	if err != nil || string(v.Str) != "ERR Protocol error: invalid bulk length" {
		t.Fatalf("%q, %v", v.Str, err)
	}
}

// The error reaches a client that reads when it has sent everything. What is thrown away
// meanwhile holds no memory that others wait for.
func TestRefusedEarlyIsReadLate(t *testing.T) {
	const size = 96 << 20
	budget := resp.NewBudget(4<<20, 10*time.Millisecond)
	s, addr := start(t, &fake{}, func(o *Options) { unhurried(o); o.Limits.MaxBulk, o.Limits.Budget = 64<<20, budget })
	for bulk, want := range map[int64]string{size: "-ERR Protocol error: invalid bulk length", 32 << 20: "-TRYAGAIN "} {
		c := dial(t, addr)
		if _, err := fmt.Fprintf(c, "*2\r\n$4\r\nECHO\r\n$%d\r\n", bulk); err != nil {
			t.Fatal(err)
		}
		if n, err := c.Write(make([]byte, size)); err != nil {
			t.Errorf("%v after %d bytes of %d", err, n, bulk)
		}
		for deadline := time.Now().Add(time.Minute); budget.Used() > 0; {
			if time.Now().After(deadline) {
				t.Fatalf("%d bytes are held for what is thrown away", budget.Used())
			}
		}
		answer, err := bufio.NewReader(c).ReadString('\n')
		if err != nil || !strings.HasPrefix(answer, want) {
			t.Errorf("%d bytes: %q, %v", bulk, answer, err)
		}
		_ = c.Close()
	}
	if n := s.Discarded(); n == 0 || n > 2*size {
		t.Errorf("%d bytes were thrown away", n)
	}
}

func TestMaxClients(t *testing.T) {
	f := &fake{tuning: Tuning{MaxClients: 2}}
	_, addr := start(t, f, unhurried)
	a, b := dial(t, addr), dial(t, addr)
	ping(t, a)
	ping(t, b)
	if got := talk(t, addr, "PING\r\n"); got != "-ERR max number of clients reached\r\n" {
		t.Errorf("got %q", got)
	}
	if f.rejected.Load() != 1 {
		t.Errorf("%d counted", f.rejected.Load())
	}
	a.Close()
	eventually(t, "room after a client left", func() bool { return f.Clients() < 2 })
	ping(t, dial(t, addr))
}

func ping(t testing.TB, c io.ReadWriter) {
	t.Helper()
	if _, err := io.WriteString(c, "PING\r\n"); err != nil {
		t.Fatal(err)
	}
	var got [7]byte
	if _, err := io.ReadFull(c, got[:]); err != nil || string(got[:]) != "+PONG\r\n" {
		t.Fatalf("%q, %v", got, err)
	}
}

func TestKill(t *testing.T) {
	f := &fake{}
	_, addr := start(t, f, nil)
	c := dial(t, addr)
	ping(t, c)
	f.mu.Lock()
	f.last()
	f.mu.Unlock()
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Error("still open")
	}
}

func TestIdleClientsAreClosed(t *testing.T) {
	f := &fake{}
	_, addr := start(t, f, func(o *Options) { o.Tick = 10 * time.Millisecond })
	c := dial(t, addr)
	ping(t, c)
	f.tune(Tuning{IdleTimeout: 30 * time.Millisecond})
	if _, err := c.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("got %v, want EOF", err)
	}
}

func TestStalledClientsAreClosed(t *testing.T) {
	f := &fake{}
	_, addr := start(t, f, func(o *Options) {
		o.Tick, o.StallTimeout = 10*time.Millisecond, 50*time.Millisecond
	})
	t.Run("half a long request", func(t *testing.T) {
		c := dial(t, addr)
		_, _ = io.WriteString(c, "*2\r\n$4\r\nECHO\r\n$1000000\r\n"+strings.Repeat("x", 500_000))
		if _, err := c.Read(make([]byte, 1)); err == nil {
			t.Error("still open")
		}
	})
	t.Run("replies that nobody reads", func(t *testing.T) {
		c := dial(t, addr)
		eventually(t, "the client's session", func() bool { return f.Clients() == 1 })
		_, _ = c.Write(resp.AppendCommand(nil, [][]byte{[]byte("ECHO"), make([]byte, 40<<20)}))
		eventually(t, "the connection is closed", func() bool { return f.Clients() == 0 })
	})
}

// A pipeline makes buffers grow; when the client rests they are given back and
// the connection goes on.
func TestIdleBuffersShrink(t *testing.T) {
	s, addr := start(t, &fake{}, func(o *Options) { o.Tick = 5 * time.Millisecond })
	c := dial(t, addr)
	in := strings.Repeat("PING\r\n", 20_000)
	go func() { _, _ = io.WriteString(c, in) }()
	if _, err := io.CopyN(io.Discard, c, 7*20_000); err != nil {
		t.Fatal(err)
	}
	eventually(t, "thin buffers", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		for cn := range s.conns {
			return cn.phase.Load() == phaseWait && cn.mem.Of(clientmem.Query)+cn.mem.Of(clientmem.Reply) <= thinBytes
		}
		return false
	})
	ping(t, c)
}

func TestBudgetIsAnswered(t *testing.T) {
	_, addr := start(t, &fake{}, func(o *Options) {
		unhurried(o)
		o.Limits.Budget = resp.NewBudget(1<<20, 10*time.Millisecond)
	})
	c := dial(t, addr)
	go func() {
		_, _ = c.Write(resp.AppendCommand(nil, [][]byte{[]byte("ECHO"), make([]byte, 4<<20)}))
	}()
	v, err := resp.ReadValue(bufio.NewReader(c))
	if err != nil || !strings.HasPrefix(string(v.Str), "TRYAGAIN ") {
		t.Fatalf("%q, %v", v.Str, err)
	}
}

func TestCloseFinishesWhatWasBegun(t *testing.T) {
	f := &fake{block: make(chan struct{}), blocked: make(chan struct{}, 1)}
	s, addr := start(t, f, nil)
	idle, busy := dial(t, addr), dial(t, addr)
	ping(t, idle)
	_, _ = io.WriteString(busy, "BLOCK\r\n")
	<-f.blocked
	done := make(chan error, 1)
	go func() { done <- s.Close(context.Background()) }()
	if _, err := idle.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("idle client: %v", err)
	}
	close(f.block)
	if out, err := io.ReadAll(busy); err != nil || string(out) != "+OK\r\n" {
		t.Errorf("busy client: %q, %v", out, err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestCloseLosesPatience(t *testing.T) {
	f := &fake{block: make(chan struct{}), blocked: make(chan struct{}, 1)}
	s, addr := start(t, f, nil)
	c := dial(t, addr)
	_, _ = io.WriteString(c, "BLOCK\r\n")
	<-f.blocked
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if err := s.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

// TestRequestsThatStandStillGiveWay: a few halves of long requests would else shut out
// every other long one, for as long as their clients like.
func TestRequestsThatStandStillGiveWay(t *testing.T) {
	f, budget := &fake{}, resp.NewBudget(1<<20, 20*time.Second)
	_, addr := start(t, f, func(o *Options) { o.Tick, o.Limits.Budget = 10*time.Millisecond, budget })
	stalled := dial(t, addr)
	_, _ = io.WriteString(stalled, "*2\r\n$4\r\nECHO\r\n$900000\r\n"+strings.Repeat("x", 800_000))
	for deadline := time.Now().Add(time.Minute); budget.Used() < 500_000 && time.Now().Before(deadline); {
		<-time.After(time.Millisecond) // else the other may come first
	}
	c := dial(t, addr)
	go func() {
		_, _ = c.Write(resp.AppendCommand(nil, [][]byte{[]byte("ECHO"), make([]byte, 800_000)}))
	}()
	if v, err := resp.ReadValue(bufio.NewReader(c)); err != nil || len(v.Str) != 800_000 {
		t.Fatalf("%.100q, %v", v.Str, err)
	}
	_ = stalled.SetReadDeadline(time.Now().Add(time.Minute))
	if _, err := stalled.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the one that stood still: %v", err)
	}
}
