package respapi

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// startRedis runs the real thing on a socket of its own.
func startRedis(t *testing.T) (sock string) {
	t.Helper()
	bin, err := exec.LookPath("redis-server")
	if err != nil {
		t.Fatalf("the tests need Debian's redis-server: %v", err)
	}
	dir := t.TempDir()
	sock = filepath.Join(dir, "s")
	cmd := exec.Command(bin, "--port", "0", "--unixsocket", sock, "--save", "", "--dir", dir, "--logfile", "log")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	eventually(t, "redis-server listens", func() bool {
		c, err := net.Dial("unix", sock)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	return sock
}

// outcome sends in, and after it what makes the server answer if it still
// listens. It returns all replies and how the conversation ended. Commands
// that the server did not understand are all alike.
func outcome(t *testing.T, network, addr, in string) string {
	t.Helper()
	c, err := net.Dial(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	_, _ = io.WriteString(c, in)
	if half, ok := c.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
	out, _ := io.ReadAll(c)
	lines := strings.SplitAfter(string(out), "\r\n")
	for i, l := range lines {
		if strings.HasPrefix(l, "-ERR unknown") || strings.HasPrefix(l, "-ERR wrong number") {
			lines[i] = "-unknown\r\n"
		}
	}
	return strings.Join(lines, "")
}

// Malformed input gets the same words from Lockstep as from Redis, and closes
// the connection in the same cases: whatever comes after it is not answered.
func TestMalformedInputAsRedis(t *testing.T) {
	sock := startRedis(t)
	_, addr := start(t, &fake{}, func(o *Options) { o.Limits.MaxBulk = 512 << 20 })
	inputs := []string{
		"*2147483648\r\n", "*03\r\n", "*+1\r\n", "*-0\r\n", "*\r\n", "* 1\r\n", "*-7\r\n", "*1x\r\n", "*9223372036854775808\r\n",
		"*1\r\nPING\r\n", "*1\r\n\r\n", "*1\r\n\x00a\r\n", "*1\r\na\x00\r\n", "*1\r\n\xff\r\n", "*1\r\n\n\r\n",
		"*1\rX$4\r\nPING\r\n", "*1\r\n$4\r\nPINGxx", "*1\r\n$-1\r\n", "*1\r\n$536870913\r\n", "*1\r\n$04\r\nPING\r\n", "*1\r\n$\r\n",
		"*2\r\n$4\r\nECHO\r\n:1\r\n", "*1\r\n$0\r\n\r\n", "PING\x00\r\n", "PI\x00NG\r\n", "PING \"a\r\n", "ECHO \"a\"b\r\n", "ECHO 'a\r\n",
		"\r\n\r\n  \r\n", "ECHO a\vb\r\n", "\vECHO a\r\n", "ECHO \"\\x41\\n\\q\\xzz\\\"\"\n", "ECHO 'a\\'b\\n'\n", "ECHO a\"b\"\n", "ECHO \"\"\r\n",
		strings.Repeat("x", 100_000), "*" + strings.Repeat("1", 100_000), "*1\r\n$" + strings.Repeat("1", 100_000), "$4\r\nPING\r\n", "+PING\r\n",
		"PING\r\r\n", "PING\rECHO\n", "quit", "*3\r\n$4\r\nECHO\r\n$1\r\na\r\n", "POST / HTTP/1.1\r\n", "*2\r\n$4\r\npOsT\r\n$1\r\n/\r\n",
	}
	for _, in := range inputs {
		for _, tail := range []string{"", "\r\n", "PING\r\n", "*1\r\n$4\r\nPING\r\n"} {
			if len(in) > 1000 && tail != "" {
				continue // how much of a long line Redis takes depends on how it comes
			}
			want, got := outcome(t, "unix", sock, in+tail), outcome(t, "tcp", addr, in+tail)
			if got != want {
				t.Errorf("%.60q: got %q, Redis says %q", in+tail, got, want)
			}
		}
	}
	rng := rand.New(rand.NewPCG(1, 2))
	parts := []string{"*", "$", "1", "2", "4", "-1", "0", "\r\n", "\r\n", "\r\n", "\r", "\n", "PING", "ECHO", " ", "\"", "'", "\\", "a", "\x00", "*1\r\n$4\r\nPING\r\n", "*2\r\n$4\r\nECHO\r\n$1\r\n"}
	for range 1500 {
		var in strings.Builder
		for range 1 + rng.IntN(12) {
			in.WriteString(parts[rng.IntN(len(parts))])
		}
		want, got := outcome(t, "unix", sock, in.String()), outcome(t, "tcp", addr, in.String())
		if got != want {
			t.Fatalf("%q: got %q, Redis says %q", in.String(), got, want)
		}
	}
}

// Before AUTH, Redis takes only short requests.
func TestUnauthenticatedInputAsRedis(t *testing.T) {
	sock := startRedis(t)
	_, addr := start(t, &fake{password: true}, nil)
	c, err := net.Dial("unix", sock)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, _ = io.WriteString(c, "CONFIG SET requirepass x\r\n")
	if _, err := io.ReadFull(c, make([]byte, 5)); err != nil {
		t.Fatal(err)
	}
	for _, in := range []string{"*11\r\n", "*1\r\n$16385\r\n", fmt.Sprintf("AUTH x\r\n*2\r\n$4\r\nECHO\r\n$16385\r\n%s\r\n", strings.Repeat("v", 16385))} {
		if want, got := outcome(t, "unix", sock, in), outcome(t, "tcp", addr, in); got != want {
			t.Errorf("%q: got %.100q, Redis says %.100q", in, got, want)
		}
	}
}
