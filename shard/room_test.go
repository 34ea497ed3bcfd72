package shard

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/resp"
	"github.com/lockstepkv/lockstep/shard/compact"
)

const testReserve = 1 << 30

// growthRefused is what is told of a write that would grow.
const growthRefused = "-OOM no room on disk, nothing was applied: less than --disk-reserve is free on the disk of the shard's leader, or of a majority\r\n"

func TestRoomComesBackWithAMargin(t *testing.T) {
	level := roomy
	for _, step := range []struct {
		free int64
		want roomLevel
	}{
		{testReserve, roomy},
		{testReserve - 1, tight},
		{testReserve + testReserve/8 - 1, tight},
		{testReserve + testReserve/8, roomy},
		{testReserve/4 - 1, noneLeft},
		{testReserve/4 + testReserve/8 - 1, noneLeft},
		{testReserve/4 + testReserve/8, tight},
		{testReserve / 4, tight},
		{0, noneLeft},
		{2 * testReserve, roomy},
	} {
		if level = roomOf(step.free, testReserve, level); level != step.want {
			t.Fatalf("%d bytes free: level %d, want %d", step.free, level, step.want)
		}
	}
	if got := roomOf(0, 0, roomy); got != roomy {
		t.Errorf("without a reserve: level %d", got)
	}
}

// fullDisks is a cluster whose disks are as full as the test says.
type fullDisks struct {
	*cluster
	free map[string]*atomic.Int64
}

func newFullDisks(t *testing.T, nodes int, edit ...func(*Options)) *fullDisks {
	f := &fullDisks{free: map[string]*atomic.Int64{}}
	for i := range nodes {
		f.free[fmt.Sprintf("n%d", i+1)] = new(atomic.Int64)
	}
	f.set(2*testReserve, "n1", "n2", "n3")
	f.cluster = newCluster(t, nodes, func(o *Options) {
		free := f.free[o.NodeID]
		o.DiskReserve, o.DiskFree = testReserve, func() (int64, error) { return free.Load(), nil }
		for _, fn := range edit {
			fn(o)
		}
	})
	return f
}

func (f *fullDisks) set(bytes int64, ids ...string) {
	for _, id := range ids {
		if free := f.free[id]; free != nil {
			free.Store(bytes)
		}
	}
}

// refuses waits until a node refuses what grows, or does not.
func (f *fullDisks) refuses(id string, want bool) {
	f.t.Helper()
	f.eventually(func() error {
		if growth, rest := f.group(id).NoRoom(); (growth != nil) != want || rest != nil {
			return fmt.Errorf("%s: %v, %v", id, growth, rest)
		}
		return nil
	})
}

func TestFullDiskRefusesGrowthAndComesBack(t *testing.T) {
	c := newFullDisks(t, 1)
	c.want("n1", "SET k v", "+OK\r\n")
	c.want("n1", "ONCE seen INCR n", ":1\r\n")
	c.set(testReserve-1, "n1")
	c.refuses("n1", true)
	if err := c.node("n1").Ready(); err != nil || len(c.node("n1").Notices()) != 1 {
		t.Errorf("ready %v, notices %v", err, c.node("n1").Notices())
	}
	c.want("n1", "APPEND k w", growthRefused) // past the router
	c.want("n1", "ONCE id APPEND k w", growthRefused)
	c.want("n1", "DEL k", ":1\r\n")
	c.set(testReserve/4-1, "n1")
	full := func(cmd string) func() error {
		return func() error {
			if _, err := c.run("n1", cmd); !errors.Is(err, command.ErrNoRoom) {
				return fmt.Errorf("%s on a full disk: %v", cmd, err)
			}
			return nil
		}
	}
	c.eventually(full("PERSIST k"))
	for cmd, want := range map[string]string{
		"DEL k": ":0\r\n", "UNLINK k": ":0\r\n", "GETDEL k": "$-1\r\n", "EXPIRE k 1": ":0\r\n", "FLUSHALL": "+OK\r\n",
		"ONCE del DEL k": ":0\r\n", "FENCED l 1 DEL k": ":0\r\n", "UNLOCK l t": ":0\r\n", "LS.TXN IF 0 THEN 1 2 DEL k ELSE 0": "*2\r\n:1\r\n*1\r\n:0\r\n",
	} {
		v, err := c.run("n1", cmd)
		if got := string(resp.Append(nil, v, 2)); err != nil || !strings.HasPrefix(got, want) {
			t.Errorf("%s on a full disk: %q, %v", cmd, got, err)
		}
	}
	c.set(testReserve/8-1, "n1")
	c.eventually(full("DEL k"))
	c.recalls("ONCE seen INCR n", ":1\r\n")
	c.recalls("ONCE unseen INCR n", "")
	c.set(2*testReserve, "n1")
	c.refuses("n1", false)
	c.want("n1", "SET k v", "+OK\r\n")
}

// recalls fails unless a repetition is answered without the log.
func (f *fullDisks) recalls(once, want string) {
	f.t.Helper()
	var args command.Args
	for _, w := range strings.Fields(once) {
		args = append(args, []byte(w))
	}
	got := ""
	_, err := f.group("n1").Read(f.t.Context(), command.ReadOptions{}, func(ctx *command.Ctx) {
		spec, err := ctx.Table.Check(args)
		if err != nil {
			f.t.Error(err)
			return
		}
		if v, ran := spec.Recall(ctx, args); ran {
			got = string(resp.Append(nil, v, 2))
		}
	})
	if err != nil || got != want {
		f.t.Errorf("%s: %q, %v, want %q", once, got, err, want)
	}
}

func TestFullLeaderHandsOver(t *testing.T) {
	c := newFullDisks(t, 3)
	old := c.leader()
	c.want(old, "SET k v", "+OK\r\n")
	c.set(testReserve-1, old)
	c.eventually(func() error {
		for _, id := range c.others(old) {
			if c.group(id).Serving() {
				return nil
			}
		}
		return errors.New("the leadership stays on a full disk")
	})
	c.refuses(old, false) // the leader has room
	c.want(old, "SET k w", "+OK\r\n")
	c.set(testReserve-1, c.ids...)
	for _, id := range c.ids {
		c.refuses(id, true)
	}
	c.set(2*testReserve, c.ids...)
	for _, id := range c.ids {
		c.refuses(id, false)
	}
}

// TestFullDisksElect: a leader can change, and serves reads, where nothing else is logged.
func TestFullDisksElect(t *testing.T) {
	c := newFullDisks(t, 3)
	old := c.leader()
	c.want(old, "SET k v", "+OK\r\n")
	for _, id := range c.others(old) {
		want := c.group(old).fsm.Applied()
		c.eventually(func() error {
			if got := c.group(id).fsm.Applied(); got < want {
				return fmt.Errorf("%s at index %d", id, got)
			}
			return nil
		})
	}
	for _, free := range []int64{testReserve/8 - 1, 1} { // nothing is logged any more, and then nothing is taken
		c.set(free, c.ids...)
		c.eventually(func() error {
			for _, id := range c.ids {
				if got := c.node(id).disk.free.Load(); got != free || c.group(id).raft.LastIndex() != c.group(old).raft.LastIndex() {
					return fmt.Errorf("%s: %d bytes free, last index %d", id, got, c.group(id).raft.LastIndex())
				}
			}
			return nil
		})
	}
	if _, err := c.run(old, "DEL none"); !errors.Is(err, command.ErrNoRoom) {
		t.Errorf("DEL on full disks: %v", err)
	}
	c.stop(old)
	next := ""
	c.eventually(func() error {
		for _, id := range c.others(old) {
			if c.group(id).Serving() {
				next = id
				return nil
			}
		}
		return errors.New("no leader")
	})
	c.want(next, "GET k", "$1\r\nv\r\n")
}

// TestFullFollowerTakesNoEntries and does not end; the others go on.
func TestFullFollowerTakesNoEntries(t *testing.T) {
	c := newFullDisks(t, 3, patient)
	leader := c.leader()
	full := c.others(leader)[0]
	c.want(leader, "SET k v", "+OK\r\n")
	c.set(0, full)
	c.eventually(func() error {
		if roomLevel(c.node(full).disk.room.Load()) != noneLeft {
			return errors.New("not seen yet")
		}
		return nil
	})
	last := c.group(full).raft.LastIndex()
	for i := range 20 {
		c.want(leader, fmt.Sprintf("SET k%d v", i), "+OK\r\n")
	}
	if got := c.group(full).raft.LastIndex(); got > last+1 { // one may have been on its way
		t.Errorf("the full node's log went on from %d to %d", last, got)
	}
	c.set(2*testReserve, full)
	c.eventually(func() error {
		if got := c.group(full).raft.LastIndex(); got < c.group(leader).raft.LastIndex() {
			return fmt.Errorf("the log ends at %d", got)
		}
		return nil
	})
}

// TestNoRoomForASnapshot: it is put off, leaves nothing, and is taken when there is room.
func TestNoRoomForASnapshot(t *testing.T) {
	free := new(atomic.Int64)
	free.Store(2 * testReserve)
	c := newCluster(t, 1, func(o *Options) {
		o.SnapshotLogBytes, o.DiskReserve, o.DiskFree = 1<<20, testReserve, func() (int64, error) { return free.Load(), nil }
	})
	g := c.group("n1")
	free.Store(testReserve/4 + 512<<10) // enough for an entry of the log, not for the data beside it
	for i := range 32 {
		args := command.Args{[]byte("SET"), fmt.Appendf(nil, "k%d", i), make([]byte, 64<<10)}
		var b command.Batch
		b.Add(args)
		if _, err := g.Propose(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	c.eventually(func() error {
		if !g.compactor.Waits() {
			return errors.New("the snapshot is not put off")
		}
		return nil
	})
	if got := g.compactor.At(); got != 0 {
		t.Errorf("there is a snapshot at %d", got)
	}
	if list, err := filepath.Glob(filepath.Join(c.dir, "n1", "shards", "000", "snapshots", "*")); err != nil || len(list) > 0 {
		t.Errorf("left behind: %v, %v", list, err)
	}
	free.Store(2 * testReserve)
	c.eventually(func() error {
		if g.compactor.At() == 0 {
			return errors.New("no snapshot")
		}
		return nil
	})
}

// TestDeletionsMakeRoom: on a disk that is nearly full a snapshot is due when it frees
// something, though there is little log.
func TestDeletionsMakeRoom(t *testing.T) {
	const reserve = 16 << 20
	free := new(atomic.Int64)
	free.Store(1 << 30)
	c := newCluster(t, 1, func(o *Options) {
		o.SnapshotLogBytes, o.DiskReserve, o.DiskFree = 1<<20, reserve, func() (int64, error) { return free.Load(), nil }
	})
	g := c.group("n1")
	for i := range 64 {
		value := make([]byte, 64<<10)
		for j := range value {
			value[j] = byte(i * j >> 3) // does not compress to nothing
		}
		var b command.Batch
		b.Add(command.Args{[]byte("SET"), fmt.Appendf(nil, "k%d", i), value})
		if _, err := g.Propose(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	bytes := func() (sum int64) {
		list, err := g.snapshots.List()
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range list {
			sum += s.Size
		}
		return sum
	}
	c.eventually(func() error {
		if got := bytes(); got < 2<<20 {
			return fmt.Errorf("snapshots of %d bytes", got)
		}
		return nil
	})
	free.Store(reserve - 1)
	c.want("n1", "FLUSHALL", "+OK\r\n")
	c.eventually(func() error {
		if got := bytes(); got > 1<<20 {
			return fmt.Errorf("snapshots of %d bytes are kept", got)
		}
		return nil
	})
}

// TestDeletionsMakeRoomOnAFullDisk: where only what frees is logged, the log goes as well.
func TestDeletionsMakeRoomOnAFullDisk(t *testing.T) {
	const reserve = 16 << 20
	free := new(atomic.Int64)
	free.Store(1 << 30)
	c := newCluster(t, 1, func(o *Options) {
		o.DiskReserve, o.DiskFree = reserve, func() (int64, error) { return free.Load(), nil }
	})
	g := c.group("n1")
	value := strings.Repeat("v", 256<<10)
	for i := range 24 {
		c.want("n1", fmt.Sprintf("SET k%d %s", i, value), "+OK\r\n")
	}
	free.Store(reserve/4 - 1)
	c.eventually(func() error {
		if _, rest := g.NoRoom(); rest == nil {
			return errors.New("not seen yet")
		}
		return nil
	})
	c.want("n1", "FLUSHALL", "+OK\r\n")
	c.eventually(func() error {
		if got := g.log.BytesAfter(0); got > compact.LeastFreed {
			return fmt.Errorf("%d bytes of the log are kept", got)
		}
		return nil
	})
}

// TestFullFollowerTakesASnapshotThatFits: nothing else could ever make room there, once the
// leader has dropped the log that it would need.
func TestFullFollowerTakesASnapshotThatFits(t *testing.T) {
	c := newFullDisks(t, 3, patient, func(o *Options) { o.SnapshotLogBytes = 64 << 10 })
	leader := c.leader()
	full := c.others(leader)[0]
	c.set(testReserve/16, full)
	c.eventually(func() error {
		if roomLevel(c.node(full).disk.room.Load()) != noneLeft {
			return errors.New("not seen yet")
		}
		return nil
	})
	last := c.group(full).fsm.Applied()
	value := strings.Repeat("v", 1<<20) // more than what is written between two looks at the disk
	for i := range 8 {
		c.want(leader, fmt.Sprintf("SET k%d %s", i, value), "+OK\r\n")
	}
	c.eventually(func() error {
		if got := c.group(full).fsm.Applied(); got < last+4 {
			return fmt.Errorf("at index %d", got)
		}
		return nil
	})
	c.set(1, full) // half of this is less than any snapshot
	c.eventually(func() error {
		if c.node(full).disk.free.Load() != 1 {
			return errors.New("not seen yet")
		}
		return nil
	})
	newest := func(id string) uint64 {
		list, err := c.group(id).snapshots.List()
		if err != nil || len(list) == 0 {
			t.Fatalf("%s: %v, %v", id, list, err)
		}
		return list[0].Index
	}
	sent := newest(leader) // at most; one may be on its way, and fitted when it was asked for
	for i := range 8 {
		c.want(leader, fmt.Sprintf("SET k%d %s", i, value), "+OK\r\n")
	}
	c.eventually(func() error {
		if at := newest(leader); at <= sent {
			return fmt.Errorf("the newest snapshot is still that of %d", at)
		}
		return nil
	})
	if at := newest(full); at > sent {
		t.Errorf("a snapshot that does not fit was taken: that of %d, after %d", at, sent)
	}
}
