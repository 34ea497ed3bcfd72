package router_test

import (
	"context"
	"strings"
	"testing"

	"github.com/lockstepkv/lockstep/api/router"
	"github.com/lockstepkv/lockstep/api/router/routertest"
	"github.com/lockstepkv/lockstep/fsm/command"
)

// TestFullDisk: what grows is refused before it is proposed, and nothing else.
func TestFullDisk(t *testing.T) {
	r, node, s := newRouter(t, routertest.Options{}, router.Config{})
	script(t, r, s, "ONCE old SET a 1 => +OK\nMULTI => +OK\nSET a 2 => +QUEUED\n")
	node.Shard(0).SetNoRoom(true)
	const no = "-OOM no room on disk, nothing was applied: less than --disk-reserve is free on the disk of the shard's leader, or of a majority\n"
	script(t, r, s, "EXEC => "+no+
		"SET a 2 => "+no+
		"FENCED l 1 SET a 2 => "+no+
		"MULTI => +OK\n"+
		"SET a 2 => "+no+
		"EXEC => -EXECABORT Transaction discarded because of previous errors.\n"+
		"MULTI => +OK\nGET a => +QUEUED\nDEL a => +QUEUED\nEXEC => [1 1]\n"+
		"ONCE old SET a 1 => +OK\n"+ // the shard decides, for it knows whether that is a retry
		"ONCE id SET a 3 => "+no+
		"ONCE id FENCED l 1 SET a 3 => "+no+
		"ONCE id DEL none => 0\n")
	if got := node.Shard(0).NoRoomRefused(); got != 4 {
		t.Errorf("%d refusals counted, want 4", got)
	}
	node.Shard(0).SetNoRoom(false)
	script(t, r, s, "SET a 3 => +OK\n")
	node.Shard(0).SetNoRoom(true)
	before := node.Shard(0).Units.Load()
	var replies []string
	for _, v := range r.DoPipeline(context.Background(), s, [][][]byte{cmd("EXPIRE a 100"), cmd("SET b 1"), cmd("DEL a"), cmd("INCR c"), cmd("GET b")}, nil) {
		replies = append(replies, show(v))
	}
	no1 := strings.TrimSuffix(no, "\n")
	if got, want := strings.Join(replies, " | "), strings.Join([]string{"1", no1, "1", no1, "nil"}, " | "); got != want {
		t.Errorf("pipeline: %s\nwant %s", got, want)
	}
	if units := node.Shard(0).Units.Load() - before; units != 2 {
		t.Errorf("%d commands were proposed, want 2", units)
	}
	node.Shard(0).SetNoRoom(false)
	script(t, r, s, "SET a 4 => +OK\n")
}

// TestFullerDisk: what frees is taken, alone and with reads, and nothing else.
func TestFullerDisk(t *testing.T) {
	r, node, s := newRouter(t, routertest.Options{}, router.Config{})
	script(t, r, s, "MSET a 1 b 2 c 3 d 4 e 5 => +OK\n")
	node.Shard(0).SetFull(true)
	const no = "-OOM no room on disk, nothing was applied\n"
	script(t, r, s, "SET a 2 => "+no+
		"PERSIST a => "+no+
		"RENAME a z => "+no+
		"ONCE id PERSIST a => "+no+
		"MULTI => +OK\nDEL a => +QUEUED\nPERSIST b => +QUEUED\nEXEC => "+no+
		"DEL a => 1\n"+
		"ONCE id UNLINK b => 1\n"+
		"GETDEL c => 3\n"+
		"FENCED l 1 DEL d => 1\n"+
		"UNLOCK m t => 0\n"+
		"MULTI => +OK\nGET e => +QUEUED\nPEXPIRE e 0 => +QUEUED\nEXEC => [5 1]\n"+
		"FLUSHALL => +OK\n")
}

// TestShardWithoutRoom: a pipeline goes on after what the shard itself has refused.
func TestShardWithoutRoom(t *testing.T) {
	r, node, s := newRouter(t, routertest.Options{Shards: 2}, router.Config{})
	node.Shard(0).Fail(command.ErrNoRoom)
	node.Shard(1).Fail(command.ErrNoRoom)
	before := node.Shard(0).NoRoomRefused() + node.Shard(1).NoRoomRefused()
	for _, v := range r.DoPipeline(context.Background(), s, [][][]byte{cmd("SET a 1"), cmd("SET b 2")}, nil) {
		if got := show(v); !strings.HasPrefix(got, "-OOM no room on disk") {
			t.Error(got)
		}
	}
	if got := node.Shard(0).NoRoomRefused() + node.Shard(1).NoRoomRefused() - before; got != 2 {
		t.Errorf("%d refusals counted", got)
	}
}
