package respapi

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lockstepkv/lockstep/api/clientmem"
	"github.com/lockstepkv/lockstep/resp"
)

// pushed is what a client is told, encoded for RESP3.
func pushed(text string) []byte {
	return resp.Append(nil, resp.Value{Kind: resp.KindPush, Elems: []resp.Value{resp.BulkString(text)}}, 3)
}

// pusher waits for a client and returns its connection.
func (f *fake) pusher(t *testing.T) Peer {
	t.Helper()
	eventually(t, "a client", func() bool { return f.Clients() > 0 })
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.peer
}

func (f *fake) pushes() int64 { return f.memory().Figures().Of[clientmem.Push] }

// TestPushesComeBetweenReplies: at once to a client that says nothing, and before the replies
// of the call during which they came.
func TestPushesComeBetweenReplies(t *testing.T) {
	overBoth(t, func(t *testing.T, plain func(*Options)) {
		f := &fake{}
		_, addr := start(t, f, plain)
		c := dial(t, addr)
		want := func(text string) {
			t.Helper()
			got := make([]byte, len(text))
			if _, err := io.ReadFull(c, got); err != nil || string(got) != text {
				t.Fatalf("read %q, %v; want %q", got, err, text)
			}
		}
		if !f.pusher(t).Push(pushed("hello")) {
			t.Fatal("the client is at its end")
		}
		want(string(pushed("hello")))
		fmt.Fprint(c, "PUSH b\r\nECHO a\r\nMUTE\r\nPUSH c\r\nECHO d\r\nMUTE\r\n")
		want(string(pushed("b")) + "+OK\r\n$1\r\na\r\n" + string(pushed("c")) + "+OK\r\n")
		eventually(t, "nothing is held", func() bool { return f.pushes() == 0 })
		if _, out := f.in.Load(), f.out.Load(); out == 0 {
			t.Error("what was pushed does not count as sent")
		}
	})
}

// TestPushOfASessionThatOpens is not lost, and counts.
func TestPushOfASessionThatOpens(t *testing.T) {
	f := &fake{greeting: pushed("welcome")}
	_, addr := start(t, f, nil)
	c := dial(t, addr)
	got := make([]byte, len(f.greeting))
	if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, f.greeting) {
		t.Fatalf("read %q, %v", got, err)
	}
	eventually(t, "nothing is held", func() bool { return f.pushes() == 0 })
}

// TestPushesAreWholeAndInOrder while replies are written and others push too.
func TestPushesAreWholeAndInOrder(t *testing.T) {
	overBoth(t, func(t *testing.T, plain func(*Options)) {
		f := &fake{}
		_, addr := start(t, f, plain)
		c := dial(t, addr)
		p := f.pusher(t)
		const n, pushers = 300, 3
		var wg sync.WaitGroup
		for who := range pushers {
			wg.Go(func() {
				for i := range n {
					p.Push(pushed(fmt.Sprint(who, " ", i, " ", strings.Repeat("x", i))))
				}
			})
		}
		wg.Go(func() {
			for range n {
				fmt.Fprint(c, "PING\r\n")
			}
		})
		r, replies := bufio.NewReader(c), 0
		var next [pushers]int
		for range n * (pushers + 1) {
			v, err := resp.ReadValue(r)
			if err != nil {
				t.Fatal(err)
			}
			if v.Kind == resp.KindSimple {
				replies++
				continue
			}
			var who, i int
			if _, err := fmt.Sscan(string(v.Elems[0].Str), &who, &i); err != nil || next[who] != i {
				t.Fatalf("%.20q comes where %d of %d should", v.Elems[0].Str, next[who], who)
			}
			next[who]++
		}
		if wg.Wait(); replies != n {
			t.Errorf("%d replies", replies)
		}
	})
}

// unread pushes more than sockets take to a client that does not read.
func unread(t *testing.T, p Peer) {
	t.Helper()
	message := pushed(strings.Repeat("m", 64<<10))
	for range 128 {
		if !p.Push(message) {
			t.Fatal("the client is at its end")
		}
	}
}

// TestWhoReadsNoPushesIsCut at the hard limit, whatever he is told; nobody waits for him.
func TestWhoReadsNoPushesIsCut(t *testing.T) {
	overBoth(t, func(t *testing.T, plain func(*Options)) {
		f := &fake{}
		const hard = 1 << 20
		_, addr := start(t, f, func(o *Options) { plain(o); o.PushLimits = PushLimits{Hard: hard} })
		dial(t, addr)
		p, message := f.pusher(t), pushed(strings.Repeat("m", 10_000))
		for n := 0; p.Push(message); n++ {
			if held := f.pushes(); held > hard {
				t.Fatalf("%d bytes are held", held)
			}
			if n > 100_000 {
				t.Fatal("never cut")
			}
		}
		eventually(t, "he is gone", func() bool { return f.Clients() == 0 })
		if f.cuts.Load() != 1 || f.pushes() != 0 || p.Push(message) {
			t.Errorf("%d cuts, %d bytes are held", f.cuts.Load(), f.pushes())
		}
	})
}

// TestSoftLimitCutsLater: who has too much for too long, though nothing is added.
func TestSoftLimitCutsLater(t *testing.T) {
	f := &fake{}
	_, addr := start(t, f, func(o *Options) {
		o.Tick = 5 * time.Millisecond
		o.PushLimits = PushLimits{Soft: 128 << 10, For: 50 * time.Millisecond}
	})
	dial(t, addr)
	unread(t, f.pusher(t))
	eventually(t, "he is cut", func() bool { return f.cuts.Load() == 1 && f.Clients() == 0 && f.pushes() == 0 })
}

// TestSoftLimitForgives who reads before the time is over.
func TestSoftLimitForgives(t *testing.T) {
	f := &fake{}
	s, addr := start(t, f, func(o *Options) {
		o.Tick = 5 * time.Millisecond
		o.PushLimits = PushLimits{Soft: 128 << 10, For: time.Minute}
	})
	c := dial(t, addr)
	p := f.pusher(t)
	unread(t, p)
	for r := bufio.NewReader(c); f.pushes() > 0; {
		if _, err := resp.ReadValue(r); err != nil {
			t.Fatal(err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for conn := range s.conns {
		conn.push.mu.Lock()
		if conn.push.over != 0 {
			t.Error("the time of the soft limit goes on")
		}
		conn.push.mu.Unlock()
	}
	if f.cuts.Load() != 0 {
		t.Error("cut")
	}
}

// TestPushedClientEnds: what it has not read does not keep its connection.
func TestPushedClientEnds(t *testing.T) {
	f := &fake{}
	_, addr := start(t, f, nil)
	c := dial(t, addr)
	p := f.pusher(t)
	unread(t, p)
	_ = c.Close()
	eventually(t, "it is gone", func() bool { return f.Clients() == 0 && f.pushes() == 0 })
	if p.Push(pushed("late")) {
		t.Error("a push to a client that is gone was taken")
	}
	if f.cuts.Load() != 0 {
		t.Error("who left counts as cut")
	}
}

// TestPipelineOfASubscriber: who is behind with what it is told may still send everything
// before it reads.
func TestPipelineOfASubscriber(t *testing.T) {
	f := &fake{}
	_, addr := start(t, f, nil)
	c := dial(t, addr)
	unread(t, f.pusher(t))
	const n = 400 // more than sockets take
	one := resp.AppendCommand(nil, [][]byte{[]byte("ECHO"), bytes.Repeat([]byte("v"), 20_000)})
	if _, err := c.Write(bytes.Repeat(one, n)); err != nil {
		t.Fatalf("the pipeline is not taken: %v", err)
	}
	r := bufio.NewReader(c)
	for replies := 0; replies < n; {
		v, err := resp.ReadValue(r)
		if err != nil {
			t.Fatal(err)
		}
		if v.Kind == resp.KindBulk {
			replies++
		}
	}
}
