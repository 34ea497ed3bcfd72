package router_test

import (
	"context"
	"strings"
	"testing"

	"github.com/lockstepkv/lockstep/api/rooms"
	"github.com/lockstepkv/lockstep/api/router"
	"github.com/lockstepkv/lockstep/api/router/routertest"
	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/store/keyslot"
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
	script(t, r, s, "MSET a 1 b 2 c 3 d 4 e 5 => +OK\nONCE incr INCR n => 1\n")
	lock := r.Do(t.Context(), s, cmd("ONCE lock LOCK x 60000"))
	tokenOf(t, lock)
	node.Shard(0).SetFull(true)
	const no = "-OOM no room on disk, nothing was applied\n"
	const noTry = "-OOM no room on disk, this try was not applied (an earlier one under the same id may have been)\n"
	if again := r.Do(t.Context(), s, cmd("ONCE lock LOCK x 60000")); show(again) != show(lock) {
		t.Errorf("a repeated LOCK: %s, want %s", show(again), show(lock))
	}
	script(t, r, s, "ONCE incr INCR n => 1\n"+
		"ONCE incr DECR n => -ONCEMISMATCH this idempotency id was used with another command\n"+
		"GET n => 1\n"+
		"ONCE other LOCK y 1000 => "+noTry+
		"LOCK y 1000 => "+no+
		"SET a 2 => "+no+
		"PERSIST a => "+no+
		"RENAME a z => "+no+
		"ONCE id PERSIST a => "+noTry+
		"MULTI => +OK\nDEL a => +QUEUED\nPERSIST b => +QUEUED\nEXEC => "+no+
		"DEL a => 1\n"+
		"ONCE id UNLINK b => 1\n"+
		"GETDEL c => 3\n"+
		"FENCED l 1 DEL d => 1\n"+
		"UNLOCK m t => 0\n"+
		"MULTI => +OK\nGET e => +QUEUED\nPEXPIRE e 0 => +QUEUED\nEXEC => [5 1]\n"+
		"FLUSHALL => +OK\n")
	if got := node.Shard(0).NoRoomRefused(); got != 7 {
		t.Errorf("%d refusals counted, want 7", got)
	}
}

// TestRepetitionThatTheShardRefuses: it is answered from its record among others, which are
// refused; without a leader nobody can tell.
func TestRepetitionThatTheShardRefuses(t *testing.T) {
	r, node, s := newRouter(t, routertest.Options{}, router.Config{})
	script(t, r, s, "ONCE old INCR n => 1\n")
	node.Shard(0).SetRefuses(command.ErrNoRoom)
	var replies []string
	for _, v := range r.DoPipeline(context.Background(), s, [][][]byte{cmd("ONCE new INCR n"), cmd("ONCE old INCR n"), cmd("INCR n")}, nil) {
		replies = append(replies, show(v))
	}
	const noTry = "this try was not applied (an earlier one under the same id may have been)"
	if got, want := strings.Join(replies, " | "), "-OOM no room on disk, "+noTry+" | 1 | -OOM no room on disk, nothing was applied"; got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	if got := node.Shard(0).NoRoomRefused(); got != 2 {
		t.Errorf("%d refusals counted, want 2", got)
	}
	node.Shard(0).Fail(command.ErrUnavailable)
	script(t, r, s, "ONCE old INCR n => -CLUSTERDOWN shard unavailable, "+noTry+"\n"+
		"ONCE old LOCK x 1000 => -CLUSTERDOWN shard unavailable, "+noTry+"\n")
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

// movingNode has a shard whose reads are done again, as a replica does it when what it read did not
// count, after the shard has lost all slots.
type movingNode struct{ *routertest.Node }

type movingShard struct{ router.Shard }

func (n movingNode) Shards() []router.Shard { return []router.Shard{movingShard{n.Shard(0)}} }

func (s movingShard) Read(ctx context.Context, opt command.ReadOptions, q command.Query) (command.ReadInfo, error) {
	if info, err := s.Shard.Read(ctx, opt, q); err != nil {
		return info, err
	}
	s.Shard.(*routertest.Shard).SetSlots(new(keyslot.Set))
	return s.Shard.Read(ctx, opt, q)
}

// TestARecordThatDidNotCountIsNoAnswer: a repetition is answered from the state that counts.
func TestARecordThatDidNotCountIsNoAnswer(t *testing.T) {
	table := rooms.Table()
	node := movingNode{routertest.New(table, routertest.Options{})}
	r := routertest.Open(t, node, table, router.Config{})
	s := r.NewSession("127.0.0.1:1", router.KindRESP)
	t.Cleanup(s.Close)
	script(t, r, s, "ONCE old INCR n => 1\n")
	node.Shard(0).SetRefuses(command.ErrNoRoom)
	script(t, r, s, "ONCE old INCR n => -OOM no room on disk, this try was not applied (an earlier one under the same id may have been)\n")
}
