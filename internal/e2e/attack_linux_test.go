package e2e

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// confinedMemory is what each node has in TestAttacks.
const confinedMemory = 256 << 20

// confinedFlags are what docs/operations.md tells for that much memory.
var confinedFlags = []string{
	"--maxmemory", "48mb", "--maxmemory-policy", "allkeys-lru", "--max-value-size", "8mb",
	"--maxmemory-clients", "32mb", "--client-output-limit", "8mb", "--once-memory", "8mb", "--log-cache", "8mb",
}

// attack is what a client tries on one node, through a follower. It goes on until ctx
// ends, if it can: what matters is how the nodes and everybody else fare meanwhile.
type attack struct {
	name string
	run  func(ctx context.Context, a attacker)
}

// attacker is the one who attacks.
type attacker struct{ n *Node }

// TestAttacks: whatever a stranger sends, no node ends, and others are served.
func TestAttacks(t *testing.T) {
	c := StartCluster(t, Options{Flags: append(confinedFlags, steady...), Env: []string{"GOMEMLIMIT=210MiB"}})
	confined := true
	for _, n := range c.Nodes {
		confined = n.Confine(t, confinedMemory) && confined
	}
	leader := c.Leader(0)
	through, other := c.Others(leader)[0], c.Others(leader)[1]
	w := leader.Dial()
	for i := range 16 {
		w.Do("SET", fmt.Sprintf("big:%d", i), strings.Repeat("x", 1<<20))
	}
	w.Do("SET", "medium", strings.Repeat("m", 200))
	alone := watch(t, other)
	quiet := alone.during(2 * time.Second)
	t.Logf("%-20s %9s %9s %9s  %s", "attack", "p99", "longest", "answers", "most memory of a node")
	t.Logf("%-20s %9v %9v %9d", "none", quiet.p99, quiet.longest, quiet.answers)
	for _, a := range attacks {
		t.Run(a.name, func(t *testing.T) {
			for _, n := range c.Nodes {
				n.PeakMemory(t)
			}
			ctx, cancel := context.WithTimeout(t.Context(), attackTime)
			defer cancel()
			var wg sync.WaitGroup
			wg.Go(func() { a.run(ctx, attacker{through}) })
			seen := alone.during(attackTime)
			cancel()
			wg.Wait()
			var peaks []string
			for _, n := range c.Nodes {
				if peak := n.PeakMemory(t); peak > 0 && n.Running() {
					peaks = append(peaks, fmt.Sprintf("%s %d MiB", n.ID, peak>>20))
					continue
				}
				t.Errorf("%s has ended", n.ID)
				n.Wait(patience)
				n.Start()
				n.Confine(t, confinedMemory)
				c.WaitWhole()
			}
			t.Logf("%-20s %9v %9v %9d  %s", a.name, seen.p99, seen.longest, seen.answers, strings.Join(peaks, ", "))
			if seen.answers == 0 || len(seen.failed) > 0 {
				t.Errorf("another client got %d answers and %v", seen.answers, seen.failed)
			}
		})
	}
	c.WaitWhole()
	if !confined {
		t.Log("the nodes' memory was not bounded")
	}
}

// attackTime is how long each attack lasts.
const attackTime = 2 * time.Second

// bystander is a client that wants one thing after the other.
type bystander struct {
	t  *testing.T
	w  *Wire
	mu sync.Mutex
}

type fate struct {
	p99, longest time.Duration
	answers      int
	failed       []string
}

func watch(t *testing.T, n *Node) *bystander { return &bystander{t: t, w: n.Dial()} }

// during is how the client fares for a time: it writes and reads a hundred times a second.
func (b *bystander) during(d time.Duration) (f fate) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var took []time.Duration
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(d); time.Now().Before(end); <-tick.C {
		began := time.Now()
		b.w.SendRaw(Request("SET", "bystander", "v") + Request("GET", "bystander"))
		for _, want := range []string{"+OK", "v"} {
			switch got, err := b.w.TryReply(patience); {
			case err != nil:
				b.t.Fatalf("another client: %v", err)
			case got != want:
				f.failed = append(f.failed, got)
			}
		}
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	if len(took) == 0 {
		return f // there was no processor for it
	}
	f.answers, f.longest = len(took), took[len(took)-1].Round(100*time.Microsecond)
	f.p99 = took[len(took)*99/100].Round(100 * time.Microsecond)
	return f
}

var attacks = []attack{
	{"reads in a unit", func(ctx context.Context, a attacker) {
		a.many(ctx, 4, func(c *hostile) {
			c.send(Request("MULTI") + Request("SET", "a", "1") + strings.Repeat(Request("GET", "big:1"), 800) + Request("EXEC"))
			c.swallow()
		})
	}},
	{"fenced reads", func(ctx context.Context, a attacker) {
		keys := slices.Repeat([]string{"big:1"}, 300)
		a.many(ctx, 4, func(c *hostile) {
			c.send(Request(append([]string{"FENCED", "l", "1", "MGET"}, keys...)...))
			c.swallow()
		})
	}},
	{"plain reads", func(ctx context.Context, a attacker) {
		keys := slices.Repeat([]string{"big:1"}, 500)
		a.many(ctx, 8, func(c *hostile) {
			c.send(Request(append([]string{"MGET"}, keys...)...))
			c.swallow()
		})
	}},
	{"unread replies", func(ctx context.Context, a attacker) {
		a.many(ctx, 3, func(c *hostile) { c.send(strings.Repeat(Request("GET", "medium"), 400_000)) })
	}},
	{"unread big replies", func(ctx context.Context, a attacker) {
		a.many(ctx, 100, func(c *hostile) { c.send(strings.Repeat(Request("GET", "big:2"), 20)); <-c.ctx.Done() })
	}},
	{"stalled bodies", func(ctx context.Context, a attacker) {
		a.manyHTTP(ctx, 300, func(c *hostile) {
			c.send("PUT /v1/keys/s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/octet-stream\r\nContent-Length: 1000000\r\n\r\nx")
			<-c.ctx.Done()
		})
	}},
	{"slow chunks", func(ctx context.Context, a attacker) {
		a.manyHTTP(ctx, 50, func(c *hostile) {
			c.send("PUT /v1/keys/s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/octet-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
			for c.send("1\r\nx\r\n") == nil && pauseFor(c.ctx, 100*time.Millisecond) {
			}
		})
	}},
	{"slow headers", func(ctx context.Context, a attacker) {
		a.manyHTTP(ctx, 500, func(c *hostile) {
			c.send("GET /healthz HTTP/1.1\r\n")
			for c.send("X: y\r\n") == nil && pauseFor(c.ctx, 100*time.Millisecond) {
			}
		})
	}},
	{"long JSON", func(ctx context.Context, a attacker) {
		body := "[" + strings.Repeat(`["GET","a"],`, 500_000) + `["GET","a"]]`
		a.manyHTTP(ctx, 8, func(c *hostile) {
			c.send(fmt.Sprintf("POST /v1/commands HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body))
			c.swallow()
		})
	}},
	{"deep JSON", func(ctx context.Context, a attacker) {
		body := strings.Repeat("[", 4<<20)
		a.manyHTTP(ctx, 8, func(c *hostile) {
			c.send(fmt.Sprintf("POST /v1/commands HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body))
			c.swallow()
		})
	}},
	{"lists of big values", func(ctx context.Context, a attacker) {
		a.manyHTTP(ctx, 20, func(c *hostile) {
			c.send("GET /v1/keys?values=true&limit=1000 HTTP/1.1\r\nHost: localhost\r\n\r\n")
			c.swallow()
		})
	}},
	{"unread backups", func(ctx context.Context, a attacker) {
		a.manyHTTP(ctx, 50, func(c *hostile) {
			c.send("GET /v1/shards/0/backup HTTP/1.1\r\nHost: localhost\r\n\r\n")
			<-c.ctx.Done()
		})
	}},
	{"queued commands", func(ctx context.Context, a attacker) {
		a.many(ctx, 4, func(c *hostile) {
			c.send("MULTI\r\n")
			for c.send(strings.Repeat("GET a\r\n", 10_000)) == nil && c.ctx.Err() == nil {
			}
		})
	}},
	{"half a command", func(ctx context.Context, a attacker) {
		half := "*2\r\n$3\r\nSET\r\n$8388608\r\n" + strings.Repeat("x", 4<<20)
		a.many(ctx, 100, func(c *hostile) { c.send(half); <-c.ctx.Done() })
	}},
	{"many arguments", func(ctx context.Context, a attacker) {
		args := "*1048576\r\n" + strings.Repeat("$1\r\na\r\n", 1<<20-1)
		a.many(ctx, 20, func(c *hostile) { c.send(args); <-c.ctx.Done() })
	}},
	{"watched keys", func(ctx context.Context, a attacker) {
		a.many(ctx, 4, func(c *hostile) {
			for i := 0; c.ctx.Err() == nil; i++ {
				keys := []string{"WATCH"}
				for j := range 30_000 {
					keys = append(keys, fmt.Sprintf("w:%d:%d", i, j))
				}
				if c.send(Request(keys...)) != nil {
					return
				}
			}
		})
	}},
	{"costly pattern", func(ctx context.Context, a attacker) {
		pattern := "[" + strings.Repeat("ab", 25_000) + "]*"
		a.many(ctx, 8, func(c *hostile) { c.send(Request("KEYS", pattern)); c.swallow() })
	}},
	{"silent clients", func(ctx context.Context, a attacker) {
		a.many(ctx, 2000, func(c *hostile) { <-c.ctx.Done() })
	}},
	{"big writes", func(ctx context.Context, a attacker) {
		set := Request("SET", "large", strings.Repeat("x", 8<<20))
		a.many(ctx, 16, func(c *hostile) { c.send(set); c.swallow() })
	}},
	{"growing value", func(ctx context.Context, a attacker) {
		a.many(ctx, 8, func(c *hostile) {
			c.send(Request("SETRANGE", "grown", "8388000", "x") + strings.Repeat(Request("APPEND", "grown", "x"), 1000))
			c.swallow()
		})
	}},
	{"idempotency keys", func(ctx context.Context, a attacker) {
		value := strings.Repeat("o", 100)
		a.many(ctx, 8, func(c *hostile) {
			for c.ctx.Err() == nil {
				var b strings.Builder
				for range 1000 {
					b.WriteString(Request("ONCE", fmt.Sprint(rand.Uint64()), "SET", "o", value, "GET"))
				}
				if c.send(b.String()) != nil {
					return
				}
				c.skim()
			}
		})
	}},
	{"waiters", func(ctx context.Context, a attacker) {
		a.many(ctx, 1000, func(c *hostile) { c.send(Request("LOCK", "wanted", "60000", "WAIT", "60000")); <-c.ctx.Done() })
	}},
	{"long names", func(ctx context.Context, a attacker) {
		name := Request("CLIENT", "SETNAME", strings.Repeat("n", 4<<20))
		a.many(ctx, 50, func(c *hostile) { c.send(name + Request("CLIENT", "LIST")); c.skim(); <-c.ctx.Done() })
	}},
	{"slow log", func(ctx context.Context, a attacker) {
		keys := slices.Repeat([]string{strings.Repeat("k", 1<<20)}, 7)
		a.many(ctx, 8, func(c *hostile) {
			c.send(Request("CONFIG", "SET", "slowlog-log-slower-than", "0"))
			for c.ctx.Err() == nil && c.send(Request(append([]string{"EXISTS"}, keys...)...)) == nil {
				c.skim()
			}
		})
		a.n.Dial().Do("CONFIG", "SET", "slowlog-log-slower-than", "10000")
	}},
	{"noise at the peers'", func(ctx context.Context, a attacker) {
		a.to(ctx, a.n.Peer, 200, func(c *hostile) {
			c.send("LOCKSTEP" + strings.Repeat("\xff", 100_000))
			<-c.ctx.Done()
		})
	}},
}

// many attacks over that many connections of the Redis protocol at once.
func (a attacker) many(ctx context.Context, conns int, fn func(*hostile)) {
	a.to(ctx, a.n.RESP, conns, fn)
}

func (a attacker) manyHTTP(ctx context.Context, conns int, fn func(*hostile)) {
	a.to(ctx, a.n.HTTP, conns, fn)
}

func (a attacker) to(ctx context.Context, address string, conns int, fn func(*hostile)) {
	var wg sync.WaitGroup
	for range conns {
		wg.Go(func() {
			for ctx.Err() == nil {
				conn, err := net.DialTimeout("tcp", address, 5*time.Second)
				if err != nil {
					pauseFor(ctx, 50*time.Millisecond)
					continue
				}
				stop := context.AfterFunc(ctx, func() { conn.Close() })
				fn(&hostile{ctx, conn, bufio.NewReader(conn)})
				stop()
				conn.Close()
				pauseFor(ctx, 10*time.Millisecond)
			}
		})
	}
	wg.Wait()
}

// hostile is a connection of an attacker. Its end is nobody's fault.
type hostile struct {
	ctx context.Context
	net.Conn
	r *bufio.Reader
}

func (c *hostile) send(s string) error {
	_, err := io.WriteString(c.Conn, s)
	return err
}

// swallow reads for as long as something comes, but no longer than half a second.
func (c *hostile) swallow() {
	_ = c.SetReadDeadline(time.Now().Add(500 * time.Millisecond))
	_, _ = io.Copy(io.Discard, c.r)
}

// skim reads what comes within a moment.
func (c *hostile) skim() {
	_ = c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	_, _ = io.Copy(io.Discard, c.r)
}

// pauseFor reports whether ctx lasts.
func pauseFor(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}
