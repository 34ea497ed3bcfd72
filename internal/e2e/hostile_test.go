package e2e

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// randomBytes are the same in each run.
func randomBytes(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(b)
	return b
}

// The largest values pass through any node and both protocols; larger ones get a
// clear error.
func TestLargeValues(t *testing.T) {
	const limit = 64 << 20
	// Three nodes copy the value many times on what may be a busy machine.
	c := StartCluster(t, Options{Flags: []string{"--request-timeout", "60s"}})
	leader := c.Leader(0)
	follower, other := c.Others(leader)[0], c.Others(leader)[1]
	term := leader.term(0)
	small := StartLoad("beside", RedisClient{other.Redis(1)}, HTTPClient{leader})
	began := time.Now()
	value := randomBytes(limit)
	sum := sha256.Sum256(value)

	step := time.Now()
	if reply := follower.Dial().Do("SET", "large:resp", string(value)); reply != "+OK" {
		t.Fatalf("SET of %d bytes: %q", limit, reply)
	}
	t.Logf("SET of 64 MiB through a follower took %v", since(step))
	step = time.Now()
	if got := other.Dial().Do("GET", "large:resp"); sha256.Sum256([]byte(got)) != sum {
		t.Errorf("GET of the large value: %d bytes, another value", len(got))
	}
	t.Logf("GET of 64 MiB through another follower took %v", since(step))
	status, body, err := follower.Send("GET", "/v1/keys/large:resp", "application/octet-stream", nil)
	if status != 200 || sha256.Sum256(body) != sum {
		t.Errorf("GET over HTTP: %d, %d bytes, %v", status, len(body), err)
	}
	step = time.Now()
	status, body, err = follower.Send("PUT", "/v1/keys/large:http", "application/octet-stream", bytes.NewReader(value))
	if status != 200 {
		t.Errorf("PUT of %d bytes: %d %s %v", limit, status, body, err)
	}
	t.Logf("PUT of 64 MiB over HTTP through a follower took %v", since(step))
	if got := leader.Dial().Do("GET", "large:http"); sha256.Sum256([]byte(got)) != sum {
		t.Errorf("GET of what HTTP wrote: %d bytes, another value", len(got))
	}
	encoded := `{"value_base64":"` + base64.StdEncoding.EncodeToString(value[:limit/2]) + `"}`
	if status, body, err = follower.Do("PUT", "/v1/keys/large:json", encoded); status != 200 {
		t.Errorf("PUT of a large JSON body: %d %s %v", status, body, err)
	}

	if err := small.Stop(); err != nil {
		t.Errorf("others were disturbed: %v", err)
	}
	small.Check(t, other.Redis(1))
	t.Logf("meanwhile others: %d writes, longest gap %v", small.Acks(), small.Gap(began).Round(time.Millisecond))
	// If large values cost the leadership they do so each time; a processor that others keep busy does so now and then.
	for tries := 1; ; tries++ {
		now := leader.term(0)
		if now == term {
			break
		}
		if tries == 6 {
			t.Errorf("large values cost the leadership each time: term %d, then %d", term, now)
			break
		}
		t.Logf("term %d became %d", term, now)
		term = now
		if reply := follower.Dial().Do("SET", "large:resp", string(value)); reply != "+OK" {
			t.Fatalf("SET of %d bytes: %q", limit, reply)
		}
	}
	tooLarge(t, follower, append(value, 'x'))
	if got := other.Dial().Do("EXISTS", "large:over"); got != ":0" {
		t.Errorf("a refused value exists: %q", got)
	}
}

func since(t time.Time) time.Duration { return time.Since(t).Round(time.Millisecond) }

func tooLarge(t *testing.T, n *Node, value []byte) {
	w := n.Dial()
	// The server may close before all is sent: it knows enough from the length.
	go func() {
		fmt.Fprintf(w.Conn, "*3\r\n$3\r\nSET\r\n$10\r\nlarge:over\r\n$%d\r\n", len(value))
		_, _ = w.Conn.Write(value)
	}()
	reply, err := w.TryReply(patience)
	if !strings.HasPrefix(reply, "-ERR Protocol error: invalid bulk length") {
		t.Errorf("a value above the limit: %q, %v", reply, err)
	}
	status, body, err := n.Send("PUT", "/v1/keys/large:over", "application/octet-stream", bytes.NewReader(value))
	if status != 413 || !strings.Contains(string(body), `"too_large"`) {
		t.Errorf("a value above the limit over HTTP: %d %s %v", status, body, err)
	}
	t.Logf("above the limit: %q; %d %s", reply, status, body)
}

// Thousands of commands in one write are answered in order.
func TestHugePipeline(t *testing.T) {
	c := StartCluster(t, Options{Flags: steady})
	follower := c.Others(c.Leader(0))[0]
	w := follower.Dial()
	const commands = 10000
	began := time.Now()
	go func() { _, _ = io.WriteString(w.Conn, strings.Repeat(Request("INCR", "p"), commands)) }()
	for i := range commands {
		if got := w.Reply(); got != fmt.Sprintf(":%d", i+1) {
			t.Fatalf("reply %d is %q", i, got)
		}
	}
	t.Logf("a pipeline of %d INCR through a follower took %v", commands, since(began))
	began = time.Now()
	mixed := strings.Repeat(Request("SET", "m", "1")+Request("GET", "m")+Request("INCR", "m")+Request("GET", "m"), commands/4)
	go func() { _, _ = io.WriteString(w.Conn, mixed) }()
	for i := range commands / 4 {
		for _, want := range []string{"+OK", "1", ":2", "2"} {
			if got := w.Reply(); got != want {
				t.Fatalf("round %d: %q, want %q", i, got, want)
			}
		}
	}
	t.Logf("a pipeline of %d mixed reads and writes took %v", commands, since(began))
}

// Ten thousand idle connections cost little and disturb nobody.
func TestIdleConnections(t *testing.T) {
	c := StartCluster(t, Options{Nodes: 1, Flags: []string{"--maxclients", "12000", "--http-max-connections", "64"}})
	n := c.Nodes[0]
	want := 10000
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	limit.Cur = limit.Max // also for children: raised before, Go would undo it for them
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Logf("raising the limit of open files: %v", err)
	}
	if room := int(min(limit.Max, 1<<20)) - 700; room < want {
		want = room
		t.Logf("the limit of open files is %d: %d connections", limit.Max, want)
	}
	before := residentBytes(t, n)
	began := time.Now()
	var mu sync.Mutex
	var conns []net.Conn
	defer func() {
		for _, c := range conns {
			c.Close()
		}
	}()
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for {
				mu.Lock()
				done := len(conns) >= want
				mu.Unlock()
				if done {
					return
				}
				conn, err := net.DialTimeout("tcp", n.RESP, patience)
				if err != nil {
					t.Errorf("an idle connection: %v", err)
					return
				}
				buf := make([]byte, 7)
				_ = conn.SetDeadline(time.Now().Add(patience))
				_, _ = io.WriteString(conn, "PING\r\n")
				if _, err := io.ReadFull(conn, buf); err != nil || string(buf) != "+PONG\r\n" {
					t.Errorf("PING: %q, %v", buf, err)
				}
				mu.Lock()
				conns = append(conns, conn)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	opened := since(began)
	load := StartLoad("idle", loadOn(n, 2, 1)...)
	load.WaitAcks(t, 300)
	if err := load.Stop(); err != nil {
		t.Errorf("clients beside %d idle connections: %v", len(conns), err)
	}
	load.Check(t, n.Redis(1))
	var after int64
	// Buffers of quiet connections are given back after a moment.
	Eventually(t, patience, func() error {
		after = residentBytes(t, n)
		if perConn := (after - before) / int64(len(conns)); perConn > 64<<10 {
			return fmt.Errorf("%d bytes per idle connection", perConn)
		}
		return nil
	})
	t.Logf("%d idle connections opened in %v; resident memory %d -> %d MiB, %d bytes each", len(conns), opened, before>>20, after>>20, (after-before)/int64(len(conns)))
	_, _ = conns[len(conns)/2].Write([]byte("PING\r\n"))
	buf := make([]byte, 7)
	_ = conns[len(conns)/2].SetDeadline(time.Now().Add(patience))
	if _, err := io.ReadFull(conns[len(conns)/2], buf); err != nil {
		t.Errorf("an idle connection wakes up: %v", err)
	}
}

// residentBytes is the resident memory of the node's process.
func residentBytes(t *testing.T, n *Node) int64 {
	t.Helper()
	var size, resident int64
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", n.pid()))
	if err == nil {
		_, err = fmt.Sscan(string(text), &size, &resident)
	}
	if err != nil {
		t.Fatal(err)
	}
	return resident * int64(os.Getpagesize())
}
