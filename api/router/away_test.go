package router_test

import (
	"context"
	"strings"
	"testing"

	"github.com/lockstepkv/lockstep/api/rooms"
	"github.com/lockstepkv/lockstep/api/router"
	"github.com/lockstepkv/lockstep/api/router/routertest"
	"github.com/lockstepkv/lockstep/fsm/command"
)

// TestReadsThatAreSent: a node without a replica answers from what it can send, and so as every
// other one.
func TestReadsThatAreSent(t *testing.T) {
	text := `SET a 1 => +OK
GET a => 1
MGET a nothing => [1 nil]
STRLEN a => 1
SET b 2 => +OK
DBSIZE => 2
EXISTS a b c => 2
TYPE a => +string
OBJECT ENCODING a => int
GET => -ERR wrong number of arguments for 'get' command
INCRBYFLOAT a x => -ERR value is not a valid float
WATCH a nothing => +OK
MULTI => +OK
GET a => +QUEUED
EXEC => [1]
WATCH a => +OK
SET a 3 => +OK
MULTI => +OK
GET a => +QUEUED
EXEC => nilarray
WATCH nothing => +OK
MULTI => +OK
GET a => +QUEUED
EXEC => [3]
MULTI => +OK
GET a => +QUEUED
STRLEN b => +QUEUED
EXEC => [3 1]
CLUSTER COUNTKEYSINSLOT 15495 => 1
CLUSTER GETKEYSINSLOT 15495 10 => [a]
CLUSTER COUNTKEYSINSLOT 1 => 0
`
	for _, away := range []bool{false, true} {
		r, node, s := newRouter(t, routertest.Options{Away: away}, router.Config{Cluster: router.ClusterOn})
		script(t, r, s, text)
		if keys := show(r.Do(context.Background(), s, cmd("KEYS *"))); keys != "[a b]" && keys != "[b a]" {
			t.Errorf("away %v: KEYS: %s", away, keys)
		}
		info := string(r.Do(context.Background(), s, cmd("INFO")).Str)
		if !strings.Contains(info, "db0:keys=2,") || strings.Contains(info, "used_memory:0\r\n") != away {
			t.Errorf("away %v: %s", away, info)
		}
		node.Shard(0).SetFull(true)
		script(t, r, s, "ONCE x INCR a => -OOM no room on disk, this try was not applied (an earlier one under the same id may have been)\n")
		node.Shard(0).SetFull(false)
		script(t, r, s, "ONCE x INCR a => 4\n")
		node.Shard(0).SetFull(true)
		script(t, r, s, "ONCE x INCR a => 4\n")
	}
}

// TestSentReadsHaveTheirShardsError: what a slot's owner says is told by its class also from afar.
func TestSentReadsHaveTheirShardsError(t *testing.T) {
	r, node, s := newRouter(t, routertest.Options{Shards: 2, Away: true}, router.Config{})
	node.Shard(0).MoveAway()
	node.Shard(1).MoveAway()
	for _, line := range []string{"GET a", "WATCH a", "CLUSTER COUNTKEYSINSLOT 15495", "CLUSTER GETKEYSINSLOT 15495 1"} {
		if got := show(r.Do(context.Background(), s, cmd(line))); !strings.HasPrefix(got, "-TRYAGAIN slot 15495") {
			t.Errorf("%s: %s", line, got)
		}
	}
	redirected, node2, s2 := newRouter(t, routertest.Options{Shards: 2, Away: true}, router.Config{Redirect: router.RedirectMoved})
	if got := show(redirected.Do(context.Background(), s2, cmd("READONLY"))); got != "+OK" {
		t.Fatal(got)
	}
	if err := node2.TransferLeadership(t.Context(), 1, "n2"); err != nil {
		t.Fatal(err)
	}
	if got := show(redirected.Do(context.Background(), s2, cmd("GET a"))); got != "-MOVED 15495 127.0.0.1:7002" {
		t.Errorf("a node without a replica answers READONLY clients: %s", got)
	}
}

// getAllocs is what a GET takes over the fake shard, whose state is made anew for each.
const getAllocs = 6

// TestReadAllocations: that a read can be sent costs nothing where it is not.
func TestReadAllocations(t *testing.T) {
	r, _, s := newRouter(t, routertest.Options{}, router.Config{})
	ctx := context.Background()
	r.Do(ctx, s, cmd("SET key value"))
	get := []command.Args{cmd("GET key")}
	out := r.DoPipeline(ctx, s, get, nil)
	if n := testing.AllocsPerRun(100, func() { out = r.DoPipeline(ctx, s, get, out[:0]) }); n > getAllocs {
		t.Errorf("GET takes %v allocations, %v were enough", n, getAllocs)
	}
}

// viewChanges is a node whose view changes while its shard is asked.
type viewChanges struct {
	*routertest.Node
	to func(slot uint16) int
}

type askedShard struct {
	router.Shard
	then func()
}

func (n viewChanges) Shards() []router.Shard {
	shards := n.Node.Shards()
	for i := range shards {
		shards[i] = askedShard{shards[i], func() { n.SetShardOfSlot(n.to) }}
	}
	return shards
}

func (s askedShard) Read(ctx context.Context, opt command.ReadOptions, q command.Query) (command.ReadInfo, error) {
	defer s.then()
	return s.Shard.Read(ctx, opt, q)
}

// TestWatchGoesWithTheView: that the keys were on another shard a moment ago is no matter of clients.
func TestWatchGoesWithTheView(t *testing.T) {
	table := rooms.Table()
	node := routertest.New(table, routertest.Options{Shards: 2})
	node.Shard(0).MoveAway()
	node.SetShardOfSlot(func(uint16) int { return 0 })
	r := routertest.Open(t, viewChanges{node, func(uint16) int { return 1 }}, table, router.Config{})
	s := r.NewSession("", router.KindRESP)
	t.Cleanup(s.Close)
	script(t, r, s, "WATCH a => +OK\nMULTI => +OK\nSET a 1 => +QUEUED\nEXEC => [+OK]\n")
	node.Shard(1).MoveAway()
	if got := show(r.Do(context.Background(), s, cmd("WATCH a"))); !strings.HasPrefix(got, "-TRYAGAIN") {
		t.Errorf("nobody owns the slot: %s", got)
	}
}
