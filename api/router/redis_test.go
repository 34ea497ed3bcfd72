package router_test

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/lockstepkv/lockstep/api/router"
	"github.com/lockstepkv/lockstep/api/router/routertest"
	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/resp"
)

// startRedis starts a real redis-server and returns its socket.
func startRedis(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "lsrouter") // short: a socket's path has about 100 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket := filepath.Join(dir, "s")
	server := exec.Command("redis-server", "--port", "0", "--unixsocket", socket, "--dir", dir, "--save", "", "--databases", "1")
	if err := server.Start(); err != nil {
		t.Fatalf("these tests compare with a real Redis (Debian package redis-server): %v", err)
	}
	t.Cleanup(func() {
		_ = server.Process.Kill()
		_ = server.Wait()
	})
	return socket
}

// pair is one client of both servers.
type pair struct {
	ours   *router.Session
	r      *router.Router
	theirs net.Conn
	raw    bytes.Buffer
	br     *bufio.Reader
}

func newPair(t *testing.T, r *router.Router, socket string) *pair {
	t.Helper()
	p := &pair{ours: r.NewSession("127.0.0.1:1", router.KindRESP, router.WithLocalAddr("127.0.0.1:2")), r: r}
	t.Cleanup(p.ours.Close)
	deadline := time.Now().Add(time.Minute)
	for tick := time.NewTicker(2 * time.Millisecond); ; <-tick.C {
		var err error
		if p.theirs, err = net.Dial("unix", socket); err == nil {
			tick.Stop()
			break
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { _ = p.theirs.Close() })
	p.br = bufio.NewReader(io.TeeReader(p.theirs, &p.raw))
	return p
}

// do sends a command to both and returns the bytes of both replies.
func (p *pair) do(t interface{ Fatal(...any) }, args command.Args) (ours, theirs string) {
	v := p.r.Do(context.Background(), p.ours, args)
	ours = string(resp.Append(nil, v, p.ours.Proto()))
	p.raw.Reset()
	if _, err := p.theirs.Write(resp.AppendCommand(nil, args)); err != nil {
		t.Fatal(err)
	}
	if _, err := resp.ReadValue(p.br); err != nil {
		t.Fatal(err)
	}
	return ours, p.raw.String()
}

// TestAsRedis compares connection and transaction commands with a real Redis,
// byte by byte. Lines begin with the number of the connection.
func TestAsRedis(t *testing.T) {
	r, _, _ := newRouter(t, routertest.Options{}, router.Config{})
	socket := startRedis(t)
	r.NewSession("", router.KindRESP).Close() // HELLO answers the client's number: Redis begins with 3 here
	pairs := []*pair{newPair(t, r, socket), newPair(t, r, socket)}
	for line := range strings.Lines(redisLines) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		ours, theirs := pairs[line[0]-'0'].do(t, cmd(line[2:]))
		if ours != theirs {
			t.Errorf("%s\n   ours %q\n theirs %q", line, ours, theirs)
		}
	}
}

const redisLines = `
0 PING
0 PING hello
0 PING a b
0 ECHO
0 ECHO x
0 SELECT 0
0 SELECT 1
0 SELECT x
0 SELECT 99999999999
0 SELECT 9999999999999999999999
0 NOPE
0 NOPE a bb ccc
0 CONFIG
0 CONFIG NOPE
0 CONFIG GET
0 CONFIG SET maxmemory
0 CONFIG SET nope 1
0 CONFIG SET maxmemory nope
0 CONFIG SET maxmemory 1 maxmemory 2
0 CONFIG SET slowlog-max-len x
0 CONFIG SET timeout -1
0 CONFIG SET maxmemory 100mb maxmemory-policy allkeys-lru
0 CONFIG GET maxmemory
0 CONFIG SET maxmemory 0 maxmemory-policy noeviction
0 CONFIG GET none*
0 CONFIG REWRITE
0 CONFIG RESETSTAT
0 AUTH x
0 AUTH nobody x
0 AUTH default x
0 AUTH a b c
0 HELLO 4
0 HELLO x
0 HELLO 2 SETNAME
0 HELLO 2 NOPE
0 HELLO 2 AUTH nobody x
0 CLIENT GETNAME
0 CLIENT SETNAME me
0 CLIENT GETNAME
0 CLIENT SETNAME ''
0 CLIENT GETNAME
0 CLIENT SETNAME \xe9
0 CLIENT NOPE
0 CLIENT KILL
0 CLIENT KILL 1.2.3.4:5
0 CLIENT KILL ID 0
0 CLIENT KILL ID x
0 CLIENT KILL ID 99999999
0 CLIENT KILL TYPE nope
0 CLIENT KILL TYPE pubsub
0 CLIENT KILL USER nobody
0 CLIENT KILL SKIPME maybe
0 CLIENT KILL ADDR
0 CLIENT KILL ''
0 CLIENT KILL ADDR ''
0 CLIENT KILL LADDR ''
0 CLIENT KILL ADDR '' SKIPME no
0 CLIENT KILL ADDR '' LADDR ''
0 CLIENT KILL USER ''
0 CLIENT KILL ID ''
0 CLIENT KILL TYPE ''
0 CLIENT KILL SKIPME ''
0 CLIENT LIST TYPE nope
0 CLIENT LIST TYPE master
0 CLIENT LIST ID x
0 CLIENT LIST NOPE
0 CLIENT NO-EVICT ON
0 CLIENT NO-EVICT maybe
0 CLIENT REPLY ON
0 CLIENT REPLY maybe
0 CLUSTER
0 CLUSTER NOPE
0 CLUSTER HELP
0 CLUSTER INFO
0 CLUSTER SLOTS
0 CLUSTER SHARDS
0 CLUSTER NODES
0 CLUSTER MYID
0 CLUSTER KEYSLOT a
0 CLUSTER COUNTKEYSINSLOT 1
0 CLUSTER GETKEYSINSLOT 1 1
0 CLUSTER KEYSLOT
0 CONFIG GET cluster-enabled
0 INFO cluster
0 MULTI
0 CLUSTER SLOTS
0 EXEC
0 WAIT x 0
0 WAIT 0 x
0 WAIT 0 -1
0 SLOWLOG LEN x
0 SLOWLOG GET -2
0 SLOWLOG RESET
0 LATENCY LATEST
0 LATENCY HISTORY none
0 LATENCY RESET
0 LATENCY GRAPH none
0 COMMAND GETKEYS
0 COMMAND GETKEYS SET k v
0 COMMAND GETKEYS MSET a 1 b 2
0 COMMAND GETKEYS PING x
0 COMMAND GETKEYS NOPE x
0 COMMAND GETKEYS SET k
0 COMMAND INFO nope
0 COMMAND GETKEYSANDFLAGS SET k v
0 COMMAND GETKEYSANDFLAGS SET k v GET
0 COMMAND GETKEYSANDFLAGS RENAME a b
0 COMMAND GETKEYSANDFLAGS COPY a b
0 COMMAND GETKEYSANDFLAGS DEL a b
0 COMMAND GETKEYSANDFLAGS MSET a 1 b 2
0 COMMAND GETKEYSANDFLAGS GET a
0 CONFIG SET timeout
0 CONFIG SET timeout 0 maxmemory
0 CONFIG SET timeout -1
0 CONFIG SET timeout 99999999999
0 CONFIG SET maxmemory-samples x
0 CONFIG SET slowlog-log-slower-than -5
0 CONFIG SET slowlog-log-slower-than 5000000000
0 CONFIG SET latency-monitor-threshold -1
0 CONFIG SET lfu-decay-time -1
0 CONFIG SET tcp-keepalive -1
0 COMMAND LIST FILTERBY MODULE x
0 COMMAND LIST FILTERBY NOPE x
0 COMMAND LIST NOPE
0 EXEC
0 DISCARD
0 UNWATCH
0 WATCH
0 MULTI x
0 MULTI
0 MULTI
0 WATCH a
0 SET a 1
0 INCR a
0 PING
0 GET a
0 EXEC
0 GET a
0 MULTI
0 SET a
0 SET a 5
0 EXEC
0 GET a
0 MULTI
0 NOPE
0 DISCARD
0 MULTI
0 CONFIG NOPE
0 EXEC
0 MULTI
0 EXEC
0 EXEC x
0 MULTI
0 SET a 1
0 EXEC x
0 EXEC
0 WATCH q
0 MULTI
0 EXEC x
0 SET q 1
0 MULTI
0 GET q
0 EXEC
0 MULTI
0 DISCARD x
0 EXEC
0 MULTI
0 WATCH
0 EXEC
0 WATCH absent
1 FLUSHALL
0 MULTI
0 EXEC
0 WATCH absent
1 FLUSHALL
1 SET other 1
1 FLUSHALL
0 MULTI
0 EXEC
0 WATCH absent
1 SET absent 1
1 FLUSHALL
0 MULTI
0 EXEC
0 SET a 5
0 MULTI
0 SET s text
0 INCR s
0 SET s more
0 EXEC
0 GET s
0 WATCH a
1 SET a 9
0 MULTI
0 SET a 10
0 EXEC
0 GET a
0 WATCH a b
0 UNWATCH
1 SET a 11
0 MULTI
0 SET a 12
0 EXEC
0 WATCH none
1 SET none 1
0 MULTI
0 GET a
0 EXEC
0 DEL none
0 WATCH a
0 MULTI
0 UNWATCH
0 SET a 13
0 EXEC
0 WATCH a
1 SET a 14
0 MULTI
0 DISCARD
0 MULTI
0 SET a 15
0 EXEC
0 WATCH a
0 SET a 16
0 MULTI
0 SET a 17
0 EXEC
0 MULTI
0 SET a 18
0 RESET
0 EXEC
0 GET a
0 MULTI
0 FLUSHALL
0 DBSIZE
0 SET a 1
0 DBSIZE
0 EXEC
0 HELLO 3 SETNAME x
0 CLIENT GETNAME
0 GET nothing
0 MULTI
0 GET nothing
0 EXEC
0 WATCH a
1 SET a 1
0 MULTI
0 EXEC
0 CONFIG GET timeout
0 RESET
0 CLIENT GETNAME
0 QUIT
`

// TestTransactionsAsRedis runs random transactions of three clients. The keys
// always exist: for an absent one, a removal in its slot is a change to our WATCH.
func TestTransactionsAsRedis(t *testing.T) {
	r, _, _ := newRouter(t, routertest.Options{}, router.Config{})
	socket := startRedis(t)
	pairs := []*pair{newPair(t, r, socket), newPair(t, r, socket), newPair(t, r, socket)}
	lines := []string{
		"MULTI", "EXEC", "EXEC", "DISCARD", "WATCH a", "WATCH a b", "UNWATCH", "SET a 1", "SET b x", "INCR a", "INCR b", "GET a",
		"PEXPIRE a 1000000", "PERSIST a", "GET", "NOPE", "PING", "MGET a b", "APPEND b y", "EXISTS a b", "COPY a b REPLACE", "DBSIZE",
	}
	rapid.Check(t, func(t *rapid.T) {
		for _, p := range pairs {
			p.do(t, cmd("RESET"))
		}
		pairs[0].do(t, cmd("MSET a 1 b 2"))
		pairs[0].do(t, cmd("PERSIST a"))
		var history []string
		for range rapid.IntRange(5, 60).Draw(t, "length") {
			who := rapid.IntRange(0, len(pairs)-1).Draw(t, "client")
			line := rapid.SampledFrom(lines).Draw(t, "command")
			history = append(history, string(rune('0'+who))+" "+line)
			if ours, theirs := pairs[who].do(t, cmd(line)); ours != theirs {
				t.Fatalf("%s\n   ours %q\n theirs %q", strings.Join(history, "\n"), ours, theirs)
			}
		}
	})
}
