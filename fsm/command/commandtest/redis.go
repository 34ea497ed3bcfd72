package commandtest

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/resp"
)

// realRedis is a redis-server of the system, listening on a socket of its own.
type Redis struct {
	t      *testing.T
	socket string
	Main   *Conn
}

func StartRedis(t *testing.T, options ...string) *Redis {
	t.Helper()
	binary, err := exec.LookPath("redis-server")
	if err != nil {
		t.Fatalf("these tests compare with a real Redis (Debian package redis-server): %v", err)
	}
	dir, err := os.MkdirTemp("", "lsredis") // short: a socket's path has about 100 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	r := &Redis{t: t, socket: filepath.Join(dir, "s")}
	args := append([]string{
		"--port", "0", "--unixsocket", r.socket, "--dir", dir, "--save", "", "--appendonly", "no", "--databases", "1",
	}, options...)
	cmd := exec.Command(binary, args...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	r.Main = r.Dial()
	return r
}

func (r *Redis) Dial() *Conn {
	r.t.Helper()
	var conn net.Conn
	var err error
	Poll(r.t, "redis-server answers", func() bool {
		conn, err = net.Dial("unix", r.socket)
		return err == nil
	})
	r.t.Cleanup(func() { _ = conn.Close() })
	c := &Conn{t: r.t, conn: conn}
	c.r = bufio.NewReaderSize(io.TeeReader(conn, &c.Raw), 1<<16)
	return c
}

// poll waits until ok, or fails the test.
func Poll(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("waited too long until %s", what)
		}
		<-tick.C
	}
}

type Conn struct {
	t    *testing.T
	conn net.Conn
	r    *bufio.Reader
	Raw  bytes.Buffer // the bytes of the newest reply
	buf  []byte
}

func (c *Conn) Do(args command.Args) resp.Value {
	c.t.Helper()
	c.Raw.Reset()
	c.buf = resp.AppendCommand(c.buf[:0], args)
	if _, err := c.conn.Write(c.buf); err != nil {
		c.t.Fatal(err)
	}
	v, err := resp.ReadValue(c.r)
	if err != nil {
		c.t.Fatalf("%s: %v", Quote(args), err)
	}
	return v
}

func (c *Conn) Cmd(line string) resp.Value { return c.Do(Line(line)) }

func Quote(args command.Args) string {
	var b bytes.Buffer
	for i, a := range args {
		if i > 0 {
			b.WriteByte(' ')
		}
		if len(a) > 60 {
			fmt.Fprintf(&b, "%q...(%d)", a[:60], len(a))
			continue
		}
		fmt.Fprintf(&b, "%q", a)
	}
	return b.String()
}

// Texts are the texts of the elements of a reply, without prefix, in order.
func Texts(v resp.Value, prefix string) []string {
	var out []string
	for _, e := range v.Elems {
		out = append(out, strings.TrimPrefix(string(e.Str), prefix))
	}
	slices.Sort(out)
	return out
}
