package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Wire is a bare connection of the Redis protocol.
type Wire struct {
	t testing.TB
	net.Conn
	r *bufio.Reader
}

// Dial connects to the node's Redis port.
func (n *Node) Dial() *Wire {
	n.t.Helper()
	c, err := net.DialTimeout("tcp", n.RESP, patience)
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { c.Close() })
	return &Wire{n.t, c, bufio.NewReaderSize(c, 1<<16)}
}

// SendRaw writes bytes.
func (w *Wire) SendRaw(s string) {
	w.t.Helper()
	_ = w.SetWriteDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(w.Conn, s); err != nil {
		w.t.Fatal(err)
	}
}

// Request encodes a command.
func Request(args ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "*%d\r\n", len(args))
	for _, a := range args {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(a), a)
	}
	return b.String()
}

// Do sends a command and returns its reply.
func (w *Wire) Do(args ...string) string {
	w.t.Helper()
	w.SendRaw(Request(args...))
	return w.Reply()
}

// Reply reads one reply: a line with its type byte, or the content of a bulk
// string.
func (w *Wire) Reply() string {
	w.t.Helper()
	s, err := w.TryReply(patience)
	if err != nil {
		w.t.Fatalf("reading a reply: %v", err)
	}
	return s
}

// TryReply is Reply with an error and a time limit.
func (w *Wire) TryReply(patience time.Duration) (string, error) {
	_ = w.SetReadDeadline(time.Now().Add(patience))
	line, err := w.r.ReadString('\n')
	if err != nil {
		return "", err
	}
	line = strings.TrimRight(line, "\r\n")
	if !strings.HasPrefix(line, "$") {
		return line, nil
	}
	n, err := strconv.Atoi(line[1:])
	if err != nil || n < 0 {
		return line, err
	}
	body := make([]byte, n+2)
	if _, err := io.ReadFull(w.r, body); err != nil {
		return "", err
	}
	return string(body[:n]), nil
}
