package respapi

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lockstepkv/lockstep/api/clientmem"
	"github.com/lockstepkv/lockstep/resp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake is a Backend whose commands need no store.
type fake struct {
	tuning   Tuning // guarded by mu
	password bool
	block    chan struct{} // BLOCK waits for it
	blocked  chan struct{} // BLOCK tells that it waits
	greeting []byte        // pushed while the session opens

	clients  atomic.Int64
	rejected atomic.Int64
	calls    atomic.Int64
	largest  atomic.Int64 // most commands in one DoPipeline
	in, out  atomic.Int64
	cuts     atomic.Int64

	mu   sync.Mutex
	last func()             // kill of the newest session; guarded by mu
	peer Peer               // of the newest session; guarded by mu
	mems *clientmem.Budget  // guarded by mu; see memory
	mem  *clientmem.Account // of the newest connection; guarded by mu
}

// memory returns the budget of what the connections hold.
func (f *fake) memory() *clientmem.Budget {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.mems == nil {
		f.mems = clientmem.New(0)
	}
	return f.mems
}

func (f *fake) unread() int64 { return f.memory().Figures().Of[clientmem.Unread] }

func (f *fake) Open(_, _ string, peer Peer) Session {
	f.clients.Add(1)
	mem := f.memory().Open(peer.Kill)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.last, f.peer, f.mem = peer.Kill, peer, mem
	if f.greeting != nil {
		peer.Push(f.greeting)
	}
	return &fakeSession{f: f, peer: peer, mem: mem, proto: 2, auth: f.password}
}
func (f *fake) Clients() int               { return int(f.clients.Load()) }
func (f *fake) CountRejectedConnection()   { f.rejected.Add(1) }
func (f *fake) CountOutputCut()            { f.cuts.Add(1) }
func (f *fake) CountNetwork(in, out int64) { f.in.Add(in); f.out.Add(out) }

func (f *fake) Tuning() Tuning {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.tuning
}

func (f *fake) tune(to Tuning) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.tuning = to
}

type fakeSession struct {
	f           *fake
	peer        Peer
	mem         *clientmem.Account
	proto       int
	auth        bool
	mute, close bool
}

func (s *fakeSession) Proto() int      { return s.proto }
func (s *fakeSession) Muted() bool     { return s.mute }
func (s *fakeSession) Closing() bool   { return s.close }
func (s *fakeSession) NeedsAuth() bool { return s.auth }
func (s *fakeSession) Close()          { s.f.clients.Add(-1); s.mem.Close() }

func (s *fakeSession) Memory() *clientmem.Account { return s.mem }

func (s *fakeSession) DoPipeline(ctx context.Context, cmds [][][]byte, out []resp.Value) []resp.Value {
	s.f.calls.Add(1)
	s.f.largest.Store(max(s.f.largest.Load(), int64(len(cmds))))
	for i, c := range cmds {
		switch name := c[0]; {
		case bytes.EqualFold(name, []byte("PING")) && len(c) == 1:
			out = append(out, resp.Pong)
		case len(c) == 2 && (bytes.EqualFold(name, []byte("ECHO")) || bytes.EqualFold(name, []byte("PING"))):
			out = append(out, resp.Bulk(c[1]))
		case bytes.EqualFold(name, []byte("AUTH")):
			s.auth = false
			out = append(out, resp.OK)
		case bytes.EqualFold(name, []byte("PUSH")): // and the reply after it
			s.peer.Push(pushed(string(c[1])))
			out = append(out, resp.OK)
		case bytes.EqualFold(name, []byte("NIL")):
			out = append(out, resp.Nil)
		case bytes.EqualFold(name, []byte("BLOCK")):
			s.f.blocked <- struct{}{}
			select {
			case <-s.f.block:
				out = append(out, resp.OK)
			case <-ctx.Done():
				out = append(out, resp.Err("ERR canceled"))
			}
		case len(name) > 3 && strings.Contains("QUIT HELLO MUTE", strings.ToUpper(string(name))):
			if i > 0 {
				return out // has a call of its own
			}
			switch name[0] | 0x20 {
			case 'q':
				s.close = true
			case 'h':
				s.proto = 3
			default:
				s.mute = !s.mute
			}
			return append(out, resp.OK)
		default:
			out = append(out, resp.Err("ERR unknown command"))
		}
	}
	return out
}

// start runs a server until the test ends and returns its address.
func start(t testing.TB, f *fake, change func(*Options)) (*Server, string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Listener: ln, Backend: f}
	if change != nil {
		change(&o)
	}
	s := New(o)
	served := make(chan error, 1)
	go func() { served <- s.Serve() }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		_ = s.Close(ctx)
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
		if n := f.Clients(); n != 0 {
			t.Errorf("%d sessions stay open", n)
		}
	})
	return s, ln.Addr().String()
}

func dial(t testing.TB, addr string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(5 * time.Minute))
	return c
}

// unhurried lets clients that are refused have their time, though the machine is busy.
func unhurried(o *Options) { o.patience = time.Minute }

// enter returns a client that has authenticated. Whoever is late with that is put out, and comes again.
func enter(t testing.TB, addr string) net.Conn {
	t.Helper()
	for {
		c := dial(t, addr)
		_, _ = io.WriteString(c, "AUTH x\r\n")
		if line, err := bufio.NewReader(c).ReadString('\n'); err == nil {
			if line != "+OK\r\n" {
				t.Fatalf("AUTH: %q", line)
			}
			return c
		}
		if t.Context().Err() != nil {
			t.Fatal("nobody can authenticate")
		}
	}
}

// eventually polls until ok.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(time.Minute)
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("never: %s", what)
		}
	}
}
