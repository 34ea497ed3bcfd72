package router_test

import (
	"bufio"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/lockstepkv/lockstep/api/rooms"
	"github.com/lockstepkv/lockstep/api/router"
	"github.com/lockstepkv/lockstep/api/router/routertest"
	"github.com/lockstepkv/lockstep/resp"
)

// fieldsOf splits a line of CLIENT LIST.
func fieldsOf(line string) (names []string, values map[string]string) {
	values = make(map[string]string)
	for _, f := range strings.Fields(line) {
		name, value, _ := strings.Cut(f, "=")
		names = append(names, name)
		values[name] = value
	}
	return names, values
}

// TestClientInfoHasTheFieldsOfRedis: clients such as go-redis 9.7 refuse a line with
// a field that they do not know.
func TestClientInfoHasTheFieldsOfRedis(t *testing.T) {
	r, _, _ := newRouter(t, routertest.Options{}, router.Config{})
	p := newPair(t, r, startRedis(t))
	p.do(t, cmd("CLIENT SETINFO LIB-NAME x"))
	ours, theirs := p.do(t, cmd("CLIENT INFO"))
	our, _ := fieldsOf(strings.SplitN(ours, "\r\n", 2)[1])
	their, _ := fieldsOf(strings.SplitN(theirs, "\r\n", 2)[1])
	if !slices.Equal(our, their) {
		t.Errorf("fields\n   ours %v\n theirs %v", our, their)
	}
}

// peer is a client that writes what it likes.
type peer struct {
	t  *testing.T
	nc net.Conn
	br *bufio.Reader
}

func dialPeer(t *testing.T, addr string) *peer {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	_ = nc.SetDeadline(time.Now().Add(time.Minute))
	return &peer{t, nc, bufio.NewReader(nc)}
}

func (p *peer) send(s string) {
	p.t.Helper()
	if _, err := p.nc.Write([]byte(s)); err != nil {
		p.t.Fatal(err)
	}
}

func (p *peer) do(line string) resp.Value {
	p.t.Helper()
	p.send(string(resp.AppendCommand(nil, cmd(line))))
	v, err := resp.ReadValue(p.br)
	if err != nil {
		p.t.Fatal(err)
	}
	return v
}

// figures returns the numbers of one client's line.
func (p *peer) figures(id int64) map[string]int64 {
	p.t.Helper()
	_, values := fieldsOf(string(p.do(fmt.Sprintf("CLIENT LIST ID %d", id)).Str))
	out := make(map[string]int64)
	for name, v := range values {
		if n, err := strconv.ParseInt(v, 10, 64); err == nil {
			out[name] = n
		}
	}
	return out
}

func TestClientListHasRealFigures(t *testing.T) {
	addr := serve(t, routertest.New(rooms.Table(), routertest.Options{}), router.Config{})
	watcher, client := dialPeer(t, addr), dialPeer(t, addr)
	_, own := fieldsOf(string(watcher.do("CLIENT INFO").Str))
	if own["qbuf"] != "26" || own["argv-mem"] != "10" { // as Redis says of the same bytes
		t.Errorf("CLIENT INFO: qbuf=%s argv-mem=%s", own["qbuf"], own["argv-mem"])
	}
	id := client.do("CLIENT ID").Int
	await := func(what string, ok func(map[string]int64) bool) map[string]int64 {
		t.Helper()
		tick := time.NewTicker(2 * time.Millisecond)
		defer tick.Stop()
		deadline := time.Now().Add(time.Minute)
		for ; ; <-tick.C {
			f := watcher.figures(id)
			if ok(f) {
				return f
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s: %v", what, f)
			}
		}
	}
	idle := await("idle", func(f map[string]int64) bool { return f["qbuf"] == 0 && f["argv-mem"] == 0 })
	if idle["tot-mem"] < 1<<10 || idle["tot-mem"] > 64<<10 || idle["qbuf-free"] == 0 || idle["rbs"] == 0 {
		t.Errorf("an idle client: %v", idle)
	}
	client.do("WATCH key")
	client.do("MULTI")
	client.do("SET key " + strings.Repeat("v", 5000))
	await("queued", func(f map[string]int64) bool { return f["multi"] == 1 && f["multi-mem"] > 5000 && f["tot-mem"] > 5000 })
	client.do("DISCARD")
	await("discarded", func(f map[string]int64) bool { return f["multi"] == -1 && f["multi-mem"] == 0 })
	const part = 300_000
	client.send("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1000000\r\n" + strings.Repeat("v", part))
	await("half a request", func(f map[string]int64) bool {
		return f["qbuf"] >= part && f["qbuf"] <= part*11/10 && f["tot-mem"] >= part
	})
	client.send(strings.Repeat("v", 1_000_000-part) + "\r\n")
	if v, err := resp.ReadValue(client.br); err != nil || show(v) != "+OK" {
		t.Fatal(show(v), err)
	}
	await("after it", func(f map[string]int64) bool { return f["qbuf"] == 0 && f["argv-mem"] == 0 && f["tot-mem"] < 256<<10 })
}

// TestQueueingNeedsMemory: what EXEC would refuse is refused when it is queued.
func TestQueueingNeedsMemory(t *testing.T) {
	r, node, s := newRouter(t, routertest.Options{}, router.Config{})
	script(t, r, s, "SET a 1 => +OK\n")
	node.Shard(0).SetLimit(1)
	script(t, r, s, `
		SET a 2 => -OOM command not allowed when used memory > 'maxmemory'.
		MULTI => +OK
		SET a 2 => -OOM command not allowed when used memory > 'maxmemory'.
		EXEC => -EXECABORT Transaction discarded because of previous errors.
		MULTI => +OK
		FENCED l 1 SET a 2 => -OOM command not allowed when used memory > 'maxmemory'.
		DISCARD => +OK
		MULTI => +OK
		GET a => +QUEUED
		DEL a => +QUEUED
		EXEC => [1 1]
		MULTI => +OK
		SET a 3 => +QUEUED
		SET b 3 => +QUEUED
		EXEC => [+OK +OK]
	`)
	node.Shard(0).SetLimit(0)
	script(t, r, s, "MULTI => +OK\nSET a 4 => +QUEUED\n")
	node.Shard(0).SetLimit(1)
	script(t, r, s, `
		EXEC => -EXECABORT Transaction discarded because of: OOM command not allowed when used memory > 'maxmemory'.
		GET a => 3
	`)
}
