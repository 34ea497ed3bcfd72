package compact

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"
)

func TestDue(t *testing.T) {
	for name, c := range map[string]struct {
		given func(p *replica)
		want  bool
	}{
		"little log":           {func(p *replica) { p.log = threshold - 1 }, false},
		"enough":               {func(p *replica) { p.log = threshold }, true},
		"much data, some log":  {func(p *replica) { p.log, p.used = threshold, 4*threshold }, false},
		"much of both":         {func(p *replica) { p.log, p.used = 2*threshold, 4*threshold }, true},
		"the state is unsure":  {func(p *replica) { p.log, p.unsure = 9*threshold, true }, false},
		"put off":              {func(p *replica) { p.log = 9 * threshold; p.c.wait(errNoRoom, time.Minute) }, false},
		"put off until now":    {func(p *replica) { p.log = 9 * threshold; p.c.wait(errNoRoom, 0) }, true},
		"scarce, would free":   {func(p *replica) { p.scarce, p.log = true, 4<<20 }, true},
		"scarce, frees little": {func(p *replica) { p.scarce, p.log = true, 4<<20-1 }, false},
		"scarce, as large":     {func(p *replica) { p.scarce, p.log, p.used = true, 8<<20, 8<<20 }, false},
		"scarce, nothing new":  {func(p *replica) { p.scarce, p.log = true, 4<<20; p.c.at.Store(p.applied) }, false},
		"scarce, old snapshots would go": {func(p *replica) {
			p.scarce, p.used = true, 8<<20
			p.snapshots = []*raft.SnapshotMeta{{Size: 6 << 20}, {Size: 6 << 20}}
		}, true},
		"room, would free": {func(p *replica) { p.log = 4 << 20 }, false},
	} {
		p := newReplica()
		c.given(p)
		if got := p.c.Due(); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// TestTailOfTheLog: half a threshold stays for slow followers, or little where the disk is nearly full.
func TestTailOfTheLog(t *testing.T) {
	for scarce, want := range map[bool]int64{false: threshold / 2, true: LeastFreed} {
		p := newReplica()
		p.scarce = scarce
		p.c.Compact()
		if p.trailing != want || p.config.TrailingLogs != uint64(want/1000) || p.taken != 1 {
			t.Errorf("scarce %v: %d bytes, %d entries, taken %d", scarce, p.trailing, p.config.TrailingLogs, p.taken)
		}
	}
}

// TestTaken: what there is of a snapshot is known, also at the next start.
func TestTaken(t *testing.T) {
	p := newReplica()
	p.used = 7
	p.c.Compact()
	again := New(p.c.opt)
	for _, c := range []*Compactor{p.c, again} {
		if c.At() != 1000 || c.Millis() != 1_700_000_001_000 || p.bytes != 7 {
			t.Errorf("at %d, taken at %d, %d bytes", c.At(), c.Millis(), p.bytes)
		}
	}
	for _, id := range []string{"", "-", "2-1000", "2-1000-x"} {
		if got := takenMillis(id); id != "2-1000" && got != 0 {
			t.Errorf("%q: %d", id, got)
		}
	}
}

// TestWhatBecomesOfOneThatFails: one that had no room is tried again soon, one that nobody confirmed later, and one
// that failed otherwise after as much log once more.
func TestWhatBecomesOfOneThatFails(t *testing.T) {
	for name, c := range map[string]struct {
		fails func(p *replica) error
		waits time.Duration
		at    uint64
	}{
		"nothing new":   {func(*replica) error { return raft.ErrNothingNewToSnapshot }, 0, 0},
		"not confirmed": {func(p *replica) error { p.c.PutOff(); return errors.New("no majority") }, putOffFor, 0},
		"the disk is full": {func(p *replica) error {
			p.c.Failed(fmt.Errorf("write: %w", syscall.ENOSPC))
			return errors.New("write failed")
		}, putOffFor, 0},
		"no room, it was found": {func(p *replica) error {
			p.c.Failed(fmt.Errorf("write: %w", errNoRoom))
			return errors.New("write failed")
		}, putOffFor, 0},
		"otherwise": {func(p *replica) error {
			err := errors.New("input/output error")
			p.c.Failed(err)
			return err
		}, 0, 1000},
	} {
		synctest.Test(t, func(t *testing.T) {
			p := newReplica()
			p.fails = func() error { return c.fails(p) }
			p.c.Compact()
			if p.c.Waits() != (c.waits > 0) || p.c.At() != c.at || p.taken > 0 {
				t.Errorf("%s: waits %v, at %d", name, p.c.Waits(), p.c.At())
			}
			time.Sleep(c.waits)
			if p.c.Waits() {
				t.Errorf("%s: still waits", name)
			}
		})
	}
}

// TestAFlagOfTheLastTry does not excuse the next one.
func TestAFlagOfTheLastTry(t *testing.T) {
	p := newReplica()
	p.c.PutOff()
	p.fails = func() error { return errors.New("input/output error") }
	if p.c.Compact(); p.c.Waits() || p.c.At() != 1000 {
		t.Errorf("waits %v, at %d", p.c.Waits(), p.c.At())
	}
}

// TestMakeRoom: an older snapshot goes first, and if that is not enough none is begun.
func TestMakeRoom(t *testing.T) {
	for name, c := range map[string]struct {
		free, frees int64
		taken, left int
	}{
		"enough":            {48 << 20, 0, 1, 3},
		"not enough":        {48<<20 - 1, 0, 0, 1},
		"with the old gone": {48<<20 - 1, 1, 1, 2},
	} {
		synctest.Test(t, func(t *testing.T) {
			p := newReplica()
			p.used, p.keeps, p.free = 32<<20, 16<<20, c.free
			p.snapshots = []*raft.SnapshotMeta{{ID: "b-2", Index: 20}, {ID: "a-1", Index: 10}}
			p.freed = func() { p.free += c.frees }
			p.c.Compact()
			if p.taken != c.taken || len(p.snapshots) != c.left || p.c.Waits() != (c.taken == 0) {
				t.Errorf("%s: taken %d, %d left, waits %v", name, p.taken, len(p.snapshots), p.c.Waits())
			}
			time.Sleep(roomPutOffFor)
			if p.c.Waits() {
				t.Errorf("%s: still waits", name)
			}
		})
	}
}

// TestScarceDiskKeepsOneSnapshot when there is a new one.
func TestScarceDiskKeepsOneSnapshot(t *testing.T) {
	p := newReplica()
	p.scarce, p.snapshots = true, []*raft.SnapshotMeta{{ID: "b-2", Index: 20}, {ID: "a-1", Index: 10}}
	if p.c.Compact(); len(p.snapshots) != 1 || p.snapshots[0].Index != 1000 {
		t.Errorf("%d snapshots", len(p.snapshots))
	}
}

// TestRoom: a snapshot ends before the log finds the disk full; one that the leader sends to a full node goes on.
func TestRoom(t *testing.T) {
	for name, c := range map[string]struct {
		given func(p *replica)
		want  error
	}{
		"there is room":           {func(p *replica) { p.free = 10 }, nil},
		"there is none":           {func(p *replica) { p.free = 9 }, errNoRoom},
		"nobody knows":            {func(p *replica) { p.free, p.blind = 9, true }, nil},
		"no bound":                {func(p *replica) { p.free, p.c.opt.Reserve = 9, 0 }, nil},
		"full, from the leader":   {func(p *replica) { p.free, p.full = 9, true }, nil},
		"full, its own":           {func(p *replica) { p.free, p.full = 9, true; p.c.doing.Store(int32(Writes)) }, errNoRoom},
		"scarce, from the leader": {func(p *replica) { p.free, p.scarce = 9, true }, errNoRoom},
	} {
		p := newReplica()
		p.keeps = 10
		c.given(p)
		if err := p.c.Room(); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestOneTurnOnANode: while another shard of the node writes, this one says that it is due and waits.
func TestOneTurnOnANode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newReplica()
		p.log = 2 * threshold
		turn := p.c.opt.Turn
		if turn.Taken() || !turn.Take(t.Context()) || !turn.Taken() {
			t.Fatal("nobody had it")
		}
		ctx, stop := context.WithCancel(t.Context())
		over := make(chan struct{})
		go func() { p.c.Run(ctx); close(over) }()
		time.Sleep(time.Minute)
		synctest.Wait()
		if p.taken > 0 || p.c.Doing() != Due {
			t.Errorf("taken %d, doing %d", p.taken, p.c.Doing())
		}
		turn.GiveBack()
		synctest.Wait()
		if p.taken != 1 || p.c.Doing() != Nothing || turn.Taken() {
			t.Errorf("taken %d, doing %d", p.taken, p.c.Doing())
		}
		p.with(func() { p.log = 2 * threshold })
		turn.Take(t.Context()) // and one that waits for it stops
		time.Sleep(2 * compactEvery)
		stop()
		<-over
	})
}
