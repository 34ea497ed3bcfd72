package router_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lockstepkv/lockstep/api/rooms"
	"github.com/lockstepkv/lockstep/api/router"
	"github.com/lockstepkv/lockstep/api/router/routertest"
	"github.com/lockstepkv/lockstep/fsm/lock"
	"github.com/lockstepkv/lockstep/resp"
)

const loadingWord = "LOADING Redis is loading the dataset in memory"

// whileLoading are commands and what Redis answers, or begins to, while it loads.
var whileLoading = []struct{ line, want string }{
	{"PING", "-" + loadingWord},
	{"GET a", "-" + loadingWord},
	{"SET a 1", "-" + loadingWord},
	{"DBSIZE", "-" + loadingWord},
	{"SCAN 0", "-" + loadingWord},
	{"WAIT 0 0", "-" + loadingWord},
	{"ECHO x", "$1\r\nx"},
	{"CLIENT SETNAME me", "+OK"},
	{"CLIENT GETNAME", "$2\r\nme"},
	{"CONFIG GET maxclients", "*2"},
	{"COMMAND COUNT", ":"},
	{"SLOWLOG LEN", ":"},
	{"SELECT 0", "+OK"},
	{"TIME", "*2"},
	{"INFO persistence", "$"},
	{"NOSUCH", "-ERR unknown command"},
	{"GET", "-ERR wrong number of arguments"},
	{"EXEC", "-ERR EXEC without MULTI"},
	{"MULTI", "+OK"},
	{"SET a 1", "-" + loadingWord},
	{"EXEC", "-EXECABORT Transaction discarded because of previous errors."},
	{"MULTI", "+OK"},
	{"PING", "-" + loadingWord},
	{"DISCARD", "+OK"},
	{"HELLO 2", "*14"},
	{"RESET", "+RESET"},
}

// TestLoading: a node that starts refuses what needs data, as Redis does, and answers the
// rest; then it answers everything.
func TestLoading(t *testing.T) {
	table := rooms.Table()
	r := routertest.Open(t, routertest.New(table, routertest.Options{}), table, router.Config{Loading: true})
	t.Cleanup(r.Wait)
	ctx, s := context.Background(), r.NewSession("c:1", router.KindRESP)
	do := func(line string) string { return string(resp.Append(nil, r.Do(ctx, s, cmd(line)), 2)) }
	for _, c := range whileLoading {
		if got := do(c.line); !strings.HasPrefix(got, c.want) {
			t.Errorf("%s: %q, want %q", c.line, got, c.want)
		}
	}
	if got := do("INFO persistence"); !strings.Contains(got, "loading:1\r\n") {
		t.Errorf("INFO: %s", got)
	}
	// What Redis does not have, and what would see data all the same.
	for _, line := range []string{"LOCK l 1000", "ONCE id SET a 1", "ONCE id LOCK l 1000", "FENCED l 1 SET a 1", "LS.LOCKS 0", "WATCH a"} {
		if got := do(line); got != "-"+loadingWord+"\r\n" {
			t.Errorf("%s: %q", line, got)
		}
	}
	if got := r.Lock(ctx, s, lock.Request{Name: "l", TTLMillis: 1000}, ""); string(got.Err.Str) != loadingWord {
		t.Errorf("a lock: %+v", got)
	}
	if got := r.BreakLock(ctx, s, []byte("l"), 0, "r", ""); string(got.Str) != loadingWord {
		t.Errorf("a forced release: %+v", got)
	}
	if got := r.RaiseFences(ctx, 1); string(got.Str) != loadingWord {
		t.Errorf("fences: %+v", got)
	}
	r.Loaded()
	for _, c := range []struct{ line, want string }{{"PING", "+PONG\r\n"}, {"SET a 1", "+OK\r\n"}, {"GET a", "$1\r\n1\r\n"}} {
		if got := do(c.line); got != c.want {
			t.Errorf("%s once loaded: %q", c.line, got)
		}
	}
	if got := do("INFO persistence"); !strings.Contains(got, "loading:0\r\n") {
		t.Errorf("INFO once loaded: %s", got)
	}
}

// TestLoadingIsRediss: the list above is what a real Redis answers while it loads.
func TestLoadingIsRediss(t *testing.T) {
	dir, err := os.MkdirTemp("", "lsload") // short: a socket's path has about 100 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket := filepath.Join(dir, "s")
	start := func(args ...string) *exec.Cmd {
		server := exec.Command("redis-server", append([]string{"--port", "0", "--unixsocket", socket, "--dir", dir, "--save", "", "--databases", "1"}, args...)...)
		if err := server.Start(); err != nil {
			t.Fatalf("this test compares with a real Redis (Debian package redis-server): %v", err)
		}
		t.Cleanup(func() {
			_ = server.Process.Kill()
			_ = server.Wait()
		})
		return server
	}
	server := start("--enable-debug-command", "yes")
	c := dialRedis(t, socket)
	c.do(t, "DEBUG POPULATE 200000") // loading takes longer than all questions on a busy machine
	if got := c.do(t, "SAVE"); got != "+OK" {
		t.Fatal(got)
	}
	_ = server.Process.Kill()
	_ = server.Wait()
	start("--key-load-delay", "500", "--loading-process-events-interval-bytes", "1024")
	c = dialRedis(t, socket)
	for _, e := range whileLoading {
		got := c.do(t, e.line)
		want, _, _ := strings.Cut(e.want, "\r\n")
		if !strings.HasPrefix(got, want) {
			t.Errorf("%s: Redis answers %q, want %q", e.line, got, want)
		}
	}
}

// redisConn sends commands and reads the first line of each reply.
type redisConn struct {
	net.Conn
	r *bufio.Reader
}

func dialRedis(t *testing.T, socket string) redisConn {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for tick := time.NewTicker(2 * time.Millisecond); ; <-tick.C {
		c, err := net.Dial("unix", socket)
		if err == nil {
			tick.Stop()
			t.Cleanup(func() { _ = c.Close() })
			return redisConn{c, bufio.NewReader(c)}
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

// do skips what else there is of a reply by asking for a word that comes after it.
func (c redisConn) do(t *testing.T, line string) string {
	t.Helper()
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	fmt.Fprintf(c, "%s\r\nECHO end-of-reply\r\n", line)
	first, err := c.r.ReadString('\n')
	last := first
	for err == nil && !strings.Contains(last, "end-of-reply") && !strings.Contains(last, "+QUEUED") {
		last, err = c.r.ReadString('\n')
	}
	if err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	return strings.TrimRight(first, "\r\n")
}
