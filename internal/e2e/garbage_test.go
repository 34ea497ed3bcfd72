package e2e

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// Clients that stop in the middle, that do not read, or that send rubbish hurt
// only themselves.
func TestMisbehavingClients(t *testing.T) {
	c := StartCluster(t, Options{Flags: steady})
	n := c.Nodes[0]
	if err := (HTTPClient{n}).Set("big", strings.Repeat("v", 1<<20)); err != nil {
		t.Fatal(err)
	}
	load := StartLoad("beside", loadOn(n, 2, 2)...)
	t.Run("inline commands", func(t *testing.T) { inlineCommands(t, n) })
	t.Run("half-open", func(t *testing.T) { halfOpen(t, n) })
	t.Run("nobody reads", func(t *testing.T) { nobodyReads(t, n) })
	t.Run("garbage", func(t *testing.T) { garbage(t, c) })
	t.Run("HTTP", func(t *testing.T) { wrongHTTP(t, n) })
	if err := load.Stop(); err != nil {
		t.Errorf("well-behaved clients were disturbed: %v", err)
	}
	load.Check(t, n.Redis(1))
	for _, n := range c.Nodes {
		if err := n.Ready(); err != nil {
			t.Error(err)
		}
	}
}

func inlineCommands(t *testing.T, n *Node) {
	w := n.Dial()
	for _, test := range []struct{ line, want string }{
		{"PING\r\n", "+PONG"},
		{"PING\n", "+PONG"},
		{"  set   inline   \"hello world\\x21\"\r\n", "+OK"},
		{"GET inline\n", "hello world!"},
		{"\r\n\r\nGET 'inline'\r\n", "hello world!"},
		{"GET\r\n", "-ERR wrong number of arguments for 'get' command"},
		{"NOSUCH a\r\n", "-ERR unknown command 'NOSUCH', with args beginning with: 'a' "},
		{"GET \"unbalanced\r\n", "-ERR Protocol error: unbalanced quotes in request"},
	} {
		w.SendRaw(test.line)
		if got := w.Reply(); got != test.want {
			t.Errorf("%q: %q, want %q", test.line, got, test.want)
		}
	}
	if _, err := w.TryReply(patience); err != io.EOF {
		t.Errorf("after a protocol error the connection should be closed: %v", err)
	}
}

// halfOpen: clients that stop in the middle of a command, and one that closes
// its side and still wants its reply.
func halfOpen(t *testing.T, n *Node) {
	for i := range 200 {
		w := n.Dial()
		w.SendRaw([]string{"*2\r\n$3\r\nGET\r\n$5\r\nab", "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1000000\r\nxyz", "PIN", "*1000000\r\n"}[i%4])
	}
	w := n.Dial()
	w.SendRaw(Request("SET", "half", "closed") + Request("GET", "half"))
	if err := w.Conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if a, b := w.Reply(), w.Reply(); a != "+OK" || b != "closed" {
		t.Errorf("replies to a client that closed its side: %q %q", a, b)
	}
}

// nobodyReads asks for gigabytes and takes nothing.
func nobodyReads(t *testing.T, n *Node) {
	before := residentBytes(t, n)
	for range 8 {
		w := n.Dial()
		go func() { _, _ = io.WriteString(w.Conn, strings.Repeat(Request("GET", "big"), 2000)) }()
	}
	began := n.Dial()
	for range 200 {
		if got := began.Do("PING"); got != "+PONG" {
			t.Fatalf("PING: %q", got)
		}
		if got := began.Do("STRLEN", "big"); got != ":1048576" {
			t.Fatalf("STRLEN: %q", got)
		}
	}
	grown := residentBytes(t, n) - before
	t.Logf("8 clients that asked for 16 GiB and read nothing: memory grew by %d MiB", grown>>20)
	if grown > 1<<30 {
		t.Errorf("memory grew by %d bytes", grown)
	}
}

func garbage(t *testing.T, c *Cluster) {
	n := c.Nodes[0]
	noise := string(randomBytes(1 << 16))
	for _, test := range []struct{ sent, want string }{
		{"*abc\r\n", "-ERR Protocol error: invalid multibulk length"},
		{"*2147483648\r\n", "-ERR Protocol error: invalid multibulk length"},
		{"*1\r\n+PING\r\n", "-ERR Protocol error: expected '$', got '+'"},
		{"*1\r\n$-5\r\n", "-ERR Protocol error: invalid bulk length"},
		{strings.Repeat("a", 70000), "-ERR Protocol error: too big inline request"},
		{"*1\r\n" + strings.Repeat("1", 70000), "-ERR Protocol error: too big bulk count string"},
		{"*" + strings.Repeat("1", 70000), "-ERR Protocol error: too big mbulk count string"},
	} {
		w := n.Dial()
		go func() { _, _ = io.WriteString(w.Conn, test.sent) }()
		if got, err := w.TryReply(patience); got != test.want {
			t.Errorf("%.40q: %q, %v, want %q", test.sent, got, err, test.want)
		}
	}
	for _, addr := range []string{n.RESP, n.HTTP, n.Peer} {
		for i := range 20 {
			conn, err := net.DialTimeout("tcp", addr, patience)
			if err != nil {
				t.Fatal(err)
			}
			_ = conn.SetDeadline(time.Now().Add(patience))
			_, _ = io.WriteString(conn, noise[i*3000:(i+1)*3000])
			conn.Close()
		}
	}
	// A browser that was tricked into speaking to the Redis port.
	w := n.Dial()
	w.SendRaw("POST / HTTP/1.1\r\nHost: x\r\n\r\nSET stolen 1\r\n")
	if got, err := w.TryReply(patience); err == nil {
		t.Errorf("HTTP on the Redis port was answered: %q", got)
	}
	if got := n.Dial().Do("EXISTS", "stolen"); got != ":0" {
		t.Errorf("HTTP on the Redis port was executed: %q", got)
	}
}

func wrongHTTP(t *testing.T, n *Node) {
	for _, test := range []struct {
		method, path, contentType, body string
		status                          int
	}{
		{"PUT", "/v1/keys/k", "application/json", `{"value":`, 400},
		{"PUT", "/v1/keys/k", "application/json", `{"value":"a","colour":1}`, 400},
		{"PUT", "/v1/keys/k", "application/json", `{"value":"a","value":"b"}`, 400},
		{"PUT", "/v1/keys/k", "application/json", "{\"value\":\"\xff\xfe\"}", 400},
		{"PUT", "/v1/keys/k", "application/json", `{"value":"a"} {}`, 400},
		{"PUT", "/v1/keys/k", "application/json", `{"value":"a","ttl_ms":-1}`, 400},
		{"PUT", "/v1/keys/k", "application/json", `{}`, 400},
		{"PUT", "/v1/keys/k", "application/json", strings.Repeat("[", 100000), 400},
		{"PUT", "/v1/keys/k", "text/csv", `a,b`, 415},
		{"GET", "/v1/keys/missing", "application/json", "", 404},
		{"GET", "/v1/nothing", "application/json", "", 404},
		{"PATCH", "/v1/keys/k", "application/json", `{}`, 400},
		{"POST", "/v1/keys/k", "application/json", `{}`, 405},
		{"POST", "/v1/keys/big/incr", "application/json", `{"by":1}`, 422},
		{"POST", "/v1/keys/k/incr", "application/json", `{"by":1.5}`, 400},
		{"POST", "/v1/commands", "application/json", `["NOSUCH"]`, 400},
	} {
		status, body, err := n.Send(test.method, test.path, test.contentType, strings.NewReader(test.body))
		name := fmt.Sprintf("%s %s %.40s", test.method, test.path, test.body)
		if err != nil || status != test.status || !strings.Contains(string(body), `"code":`) {
			t.Errorf("%s: %d %.200s %v, want %d", name, status, body, err, test.status)
		}
	}
	if status, _, err := n.Do("GET", "/v1/keys/k", ""); status != 404 {
		t.Errorf("a refused write left a key: %d %v", status, err)
	}
}
