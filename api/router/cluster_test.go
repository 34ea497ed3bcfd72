package router_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/lockstepkv/lockstep/api/respapi"
	"github.com/lockstepkv/lockstep/api/rooms"
	"github.com/lockstepkv/lockstep/api/router"
	"github.com/lockstepkv/lockstep/api/router/routertest"
	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/store/keyslot"
)

// halves is a cluster of four shards of which n1 leads the first two.
func halves() routertest.Options {
	return routertest.Options{Shards: 4, Led: func(shard int) string { return []string{"n1", "n1", "n2", "n2"}[shard] }}
}

// Keys by slot: a 15495 (shard 3), b 3300 (shard 0), c 7365 (shard 1), d 11298 (shard 2).
func TestRedirects(t *testing.T) {
	r, node, s := newRouter(t, halves(), router.Config{})
	script(t, r, s, `
		SET b 1 => +OK
		SET a 1 => -MOVED 15495 127.0.0.1:7002
		GET a => -MOVED 15495 127.0.0.1:7002
		MSET b 1 c 1 => -CROSSSLOT Keys in request don't hash to the same slot
		MSET {b}1 1 {b}2 2 => +OK
		MGET {b}1 {b}2 {b}3 => [1 2 nil]
		WATCH a => -MOVED 15495 127.0.0.1:7002
		WATCH b c => -CROSSSLOT Keys in request don't hash to the same slot
		DBSIZE => 3
		SET c 1 => +OK
		DBSIZE => 4
		MULTI => +OK
		SET b 2 => +QUEUED
		SET a 2 => -MOVED 15495 127.0.0.1:7002
		EXEC => -EXECABORT Transaction discarded because of previous errors.
		MULTI => +OK
		SET b 2 => +QUEUED
		SET c 2 => +QUEUED
		EXEC => -CROSSSLOT Keys in request don't hash to the same slot
		MULTI => +OK
		SET b 3 => +QUEUED
		PING => +QUEUED
		GET b => +QUEUED
		EXEC => [+OK +PONG 3]
		READONLY => +OK
		GET a => nil
		SET a 1 => -MOVED 15495 127.0.0.1:7002
		READWRITE => +OK
		GET a => -MOVED 15495 127.0.0.1:7002
		ONCE id SET a 1 => -MOVED 15495 127.0.0.1:7002
		ONCE id SET b 5 => +OK
		ONCE id SET b 5 => +OK
		CLUSTER KEYSLOT {b}1 => 3300
		CLUSTER COUNTKEYSINSLOT 3300 => 3
		CLUSTER MYID => n1
		SELECT 1 => -ERR SELECT is not allowed in cluster mode
		FLUSHALL => +OK
		DBSIZE => 0
	`)
	if n := node.Shard(3).StaleReads.Load(); n != 1 {
		t.Errorf("%d stale reads, want 1", n)
	}
	if err := node.TransferLeadership(context.Background(), 3, "n1"); err != nil {
		t.Fatal(err)
	}
	script(t, r, s, "SET a 1 => +OK\n")
}

func TestForwarding(t *testing.T) {
	r, _, s := newRouter(t, halves(), router.Config{Redirect: router.RedirectForward, SpanShards: true})
	script(t, r, s, `
		MSET a 1 b 2 c 3 d 4 => +OK
		MGET a b none c d => [1 2 nil 3 4]
		EXISTS a b c d none a => 5
		DBSIZE => 4
		DEL a b none => 2
		MSET a 1 b => -ERR wrong number of arguments for 'mset' command
		RENAME c d => -CROSSSLOT Keys in request don't hash to the same slot
		MULTI => +OK
		DBSIZE => -ERR a command that concerns all shards is not allowed inside a transaction when there are several shards
		DISCARD => +OK
		FLUSHALL => +OK
		RANDOMKEY => nil
	`)
	strict, _, s2 := newRouter(t, halves(), router.Config{Redirect: router.RedirectForward})
	script(t, strict, s2, "MGET a b => -CROSSSLOT Keys in request don't hash to the same slot\n")
}

// TestScanSeesEveryKey walks all shards with the cursors that SCAN answers.
func TestScanSeesEveryKey(t *testing.T) {
	r, _, s := newRouter(t, halves(), router.Config{Redirect: router.RedirectForward})
	want := make(map[string]bool)
	for i := range 500 {
		key := fmt.Sprintf("key%d", i)
		want[key] = true
		r.Do(context.Background(), s, cmd("SET "+key+" v"))
	}
	if n := len(r.Do(context.Background(), s, cmd("KEYS *")).Elems); n != len(want) {
		t.Errorf("KEYS found %d keys, want %d", n, len(want))
	}
	cursor := "0"
	for range 1000 {
		v := r.Do(context.Background(), s, cmd("SCAN "+cursor+" COUNT 7"))
		if v.IsError() {
			t.Fatalf("SCAN %s: %s", cursor, v.Str)
		}
		for _, k := range v.Elems[1].Elems {
			delete(want, string(k.Str))
		}
		if cursor = string(v.Elems[0].Str); cursor == "0" {
			break
		}
	}
	if cursor != "0" || len(want) > 0 {
		t.Errorf("SCAN ended at %s without %d keys", cursor, len(want))
	}
}

// TestErrorsTellWhatHappened checks what follows a failure within a pipeline.
func TestErrorsTellWhatHappened(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{command.ErrInDoubt, "-INDOUBT "}, {command.ErrUnavailable, "-CLUSTERDOWN "}, {command.ErrOverloaded, "-TRYAGAIN "},
		{errors.New("what\nis this"), "-INDOUBT what is this"},
	} {
		r, node, s := newRouter(t, routertest.Options{}, router.Config{})
		node.Shard(0).Fail(c.err)
		cmds := [][][]byte{cmd("SET a 1"), cmd("GET a"), cmd("SET a 2"), cmd("GET a"), cmd("PING")}
		out := r.DoPipeline(context.Background(), s, cmds, nil)
		if got := show(out[0]); !strings.HasPrefix(got, c.want) {
			t.Errorf("%v: SET answered %s", c.err, got)
		}
		if got := show(out[1]); strings.Contains(got, "INDOUBT") || !out[1].IsError() {
			t.Errorf("%v: GET answered %s: a read is never in doubt", c.err, got)
		}
		if got := show(out[3]); !strings.HasPrefix(got, "-CLUSTERDOWN not applied") {
			t.Errorf("%v: the GET behind the failure answered %s", c.err, got)
		}
		if got := show(out[4]); got != "+PONG" {
			t.Errorf("%v: PING answered %s", c.err, got)
		}
	}
}

// TestHalfOfAFanOutIsInDoubt: a write that some shards applied has no definite error.
func TestHalfOfAFanOutIsInDoubt(t *testing.T) {
	r, node, s := newRouter(t, halves(), router.Config{Redirect: router.RedirectForward, SpanShards: true})
	node.Shard(3).Fail(command.ErrUnavailable)
	for _, l := range []string{"FLUSHALL", "MSET a 1 b 2", "DEL a b"} {
		if got := show(r.Do(context.Background(), s, cmd(l))); !strings.HasPrefix(got, "-INDOUBT ") {
			t.Errorf("%s answered %s", l, got)
		}
	}
	for _, l := range []string{"DBSIZE", "MGET a b", "EXISTS a b", "TOUCH a b"} {
		if got := show(r.Do(context.Background(), s, cmd(l))); !strings.HasPrefix(got, "-CLUSTERDOWN ") {
			t.Errorf("%s answered %s", l, got)
		}
	}
}

func TestClientReply(t *testing.T) {
	r, _, s := newRouter(t, routertest.Options{}, router.Config{})
	cmds := [][][]byte{cmd("PING"), cmd("CLIENT REPLY SKIP"), cmd("PING"), cmd("PING"), cmd("CLIENT REPLY OFF"), cmd("PING"), cmd("CLIENT REPLY ON"), cmd("HELLO 3"), cmd("PING"),
		cmd("CLIENT REPLY OFF"), cmd("PING"), cmd("RESET"), cmd("PING"), cmd("CLIENT REPLY SKIP"), cmd("RESET"), cmd("PING")}
	var seen []string
	for len(cmds) > 0 {
		out := r.DoPipeline(context.Background(), s, cmds, nil)
		cmds = cmds[len(out):]
		if s.Muted() {
			continue
		}
		for _, v := range out {
			seen = append(seen, fmt.Sprintf("%d%.5s", s.Proto(), show(v)))
		}
	}
	if got, want := strings.Join(seen, " "), "2+PONG 2+PONG 2+OK 3[serv 3+PONG 2+RESE 2+PONG 2+PONG"; got != want {
		t.Errorf("the client saw %s, want %s", got, want)
	}
}

// serve listens for clients of node id of the fake cluster.
func serve(t *testing.T, node *routertest.Node, cfg router.Config) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := routertest.Open(t, node, rooms.Table(), cfg)
	srv := respapi.New(respapi.Options{Listener: l, Backend: respapi.FromRouter(r)})
	done := make(chan error, 1)
	go func() { done <- srv.Serve() }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := srv.Close(ctx); err != nil {
			t.Error(err)
		}
		<-done
	})
	return l.Addr().String()
}

// startCluster serves all three nodes of a fake cluster of four shards.
func startCluster(t *testing.T) (addrs []string) {
	t.Helper()
	n1 := routertest.New(rooms.Table(), routertest.Options{Shards: 4, Led: func(s int) string { return []string{"n1", "n2", "n3", "n1"}[s] }})
	for _, n := range []*routertest.Node{n1, n1.Peer("n2"), n1.Peer("n3")} {
		addr := serve(t, n, router.Config{})
		addrs = append(addrs, addr)
		n1.SetRESP(n.Cluster().Self, addr)
	}
	return addrs
}

func TestClusterClient(t *testing.T) {
	addrs := startCluster(t)
	ctx := context.Background()
	c := redis.NewClusterClient(&redis.ClusterOptions{Addrs: addrs[:1], ReadTimeout: time.Minute, DialTimeout: time.Minute})
	t.Cleanup(func() { _ = c.Close() })
	for i := range 200 {
		key := fmt.Sprintf("k%d", i)
		if err := c.Set(ctx, key, i, 0).Err(); err != nil {
			t.Fatal(err)
		}
		if got, err := c.Get(ctx, key).Int(); err != nil || got != i {
			t.Fatalf("%s: %d, %v", key, got, err)
		}
	}
	if n, err := c.DBSize(ctx).Result(); err != nil || n != 200 {
		t.Errorf("DBSIZE over all masters: %d, %v", n, err)
	}
	if _, err := c.TxPipelined(ctx, func(p redis.Pipeliner) error {
		p.Incr(ctx, "{t}a")
		p.Incr(ctx, "{t}b")
		return nil
	}); err != nil {
		t.Error(err)
	}
	cmds, err := c.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i := range 100 {
			p.Get(ctx, fmt.Sprintf("k%d", i))
		}
		return nil
	})
	if err != nil || len(cmds) != 100 {
		t.Error(len(cmds), err)
	}
	var pairs []any
	for _, k := range []string{"a", "b"} {
		pairs = append(pairs, k, 1)
	}
	if err := c.Do(ctx, slices.Concat([]any{"MSETNX"}, pairs)...).Err(); err == nil || !strings.HasPrefix(err.Error(), "CROSSSLOT") {
		t.Errorf("MSETNX over two slots: %v", err)
	}
}

func TestRedisCLI(t *testing.T) {
	addrs := startCluster(t)
	host, port, _ := net.SplitHostPort(addrs[0])
	cli := func(args ...string) string {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		out, err := exec.CommandContext(ctx, "redis-cli", slices.Concat([]string{"-h", host, "-p", port}, args)...).CombinedOutput()
		if err != nil {
			t.Errorf("redis-cli %v: %v\n%s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	for _, key := range []string{"a", "b", "c", "d"} {
		if got := cli("-c", "SET", key, "v"); got != "OK" {
			t.Errorf("SET %s with -c: %s", key, got)
		}
		if got := cli("-c", "-3", "GET", key); got != "\"v\"" && got != "v" {
			t.Errorf("GET %s with -c: %s", key, got)
		}
	}
	if got := cli("SET", "c", "v"); !strings.HasPrefix(got, "MOVED 7365 ") {
		t.Errorf("SET without -c: %s", got)
	}
	if got := cli("COMMAND", "DOCS", "get"); !strings.Contains(got, "summary") {
		t.Errorf("COMMAND DOCS: %s", got)
	}
	if got := cli("help", "set"); !strings.Contains(got, "key value [NX|XX|IFEQ comparison-value] [GET] [EX seconds|PX milliseconds|") {
		t.Errorf("help set, which is made from COMMAND DOCS: %s", got)
	}
	if got := cli("help", "config", "get"); !strings.Contains(got, "parameter [parameter ...]") {
		t.Errorf("help config get: %s", got)
	}
	if got := cli("--cluster", "info", addrs[0]); !strings.Contains(got, "4 keys in") {
		t.Errorf("--cluster info: %s", got)
	}
	if got := cli("INFO", "all"); !strings.Contains(got, "cluster_enabled:1") || !strings.Contains(got, "cmdstat_get:") || !strings.Contains(got, "shard3:leader=n1") {
		t.Errorf("INFO: %s", got)
	}
}

// TestSlotsThatAreElsewhere: where the shard says that a slot is not its own, though the router
// sent the command there, clients are redirected by what the router knows by then, or try again.
func TestSlotsThatAreElsewhere(t *testing.T) {
	r, node, s := newRouter(t, halves(), router.Config{})
	script(t, r, s, "SET b 1 => +OK\n")
	node.Shard(0).SetSlots(new(keyslot.Set))
	const again = "-TRYAGAIN slot 3300 is on another shard, nothing was applied"
	for _, line := range []string{
		"SET b 2", "GET b", "WATCH b", "ONCE id SET b 2", "CLUSTER COUNTKEYSINSLOT 3300", "MULTI => +OK\nSET b 2 => +QUEUED\nEXEC",
	} {
		script(t, r, s, line+" => "+again+"\n")
	}
	// The node hears of a slot's place while a command is under way, and then knows it at once.
	asked := 0
	node.SetShardOfSlot(func(slot uint16) int {
		if asked++; asked == 1 {
			return 0
		}
		return 3
	})
	script(t, r, s, "SET b 2 => -MOVED 3300 127.0.0.1:7002\nGET b => -MOVED 3300 127.0.0.1:7002\n")
	if err := node.TransferLeadership(context.Background(), 3, "n1"); err != nil {
		t.Fatal(err)
	}
	script(t, r, s, "SET b 2 => +OK\nGET b => 2\n")
	node.SetShardOfSlot(func(uint16) int { return 0 })
	node.Shard(0).SetSlots(nil)
	script(t, r, s, "GET b => 1\nONCE id SET b 2 => +OK\n")
}
