package shard

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lockstepkv/lockstep/fsm/command"
)

func TestWipedNodeWithAClockBehind(t *testing.T) {
	c, clocks := newClockCluster(t)
	wiped := c.others(c.leader())[0]
	c.want(wiped, "SET k v", "+OK\r\n")
	c.stop(wiped)
	if err := os.RemoveAll(filepath.Join(c.dir, wiped)); err != nil {
		t.Fatal(err)
	}
	clocks[wiped].off.Store(-3_600_000)
	c.start(wiped)
	for i := range 10 {
		c.want(wiped, fmt.Sprintf("SET k%d v", i), "+OK\r\n")
	}
	c.stop(wiped)
	c.start(wiped)
	c.want(wiped, "GET k9", "$1\r\nv\r\n")
	c.want(wiped, "SET k9 w", "+OK\r\n")
}

func TestWipedNodeGetsNoVote(t *testing.T) {
	c := newCluster(t, 3, nil)
	wiped := c.others(c.leader())[0]
	for i := range 50 {
		c.want(wiped, fmt.Sprintf("SET k%d v", i), "+OK\r\n")
	}
	c.stop(wiped)
	if err := os.RemoveAll(filepath.Join(c.dir, wiped)); err != nil {
		t.Fatal(err)
	}
	c.start(wiped)
	if !c.group(wiped).guard.On() && c.group(wiped).fsm.Applied() == 0 {
		t.Fatal("an empty replica of an old shard has a vote")
	}
	c.eventually(func() error {
		if c.group(wiped).guard.On() {
			return errors.New("still in quarantine")
		}
		return nil
	})
	c.want(wiped, "DBSIZE", ":50\r\n")
	// The replicas still remember the batches of the node's earlier life.
	for i := range 20 {
		c.want(wiped, fmt.Sprintf("SET new%d v%d", i, i), "+OK\r\n")
		c.want(wiped, fmt.Sprintf("GET new%d", i), fmt.Sprintf("$%d\r\nv%d\r\n", len(fmt.Sprint("v", i)), i))
	}
	c.agree()
}

func TestDamagedLogIsRepairedFromTheOthers(t *testing.T) {
	c := newCluster(t, 3, nil)
	for i := range 50 {
		c.want("n1", fmt.Sprintf("SET k%d %s", i, strings.Repeat("v", 100)), "+OK\r\n")
	}
	victim := c.others(c.leader())[0]
	c.agree() // the victim may be behind
	c.stop(victim)
	damage(t, filepath.Join(groupDir(filepath.Join(c.dir, victim), 0), "log"))
	c.start(victim)
	c.eventually(func() error { return c.node(victim).Ready() })
	c.want(victim, "DBSIZE", ":50\r\n")
	c.agree()
}

func TestDamagedVoteIsRepairedFromTheOthers(t *testing.T) {
	c := newCluster(t, 3, func(o *Options) { o.LogEngine = "bolt" })
	for i := range 50 {
		c.want("n1", fmt.Sprintf("SET k%d v", i), "+OK\r\n")
	}
	victim := c.others(c.leader())[0]
	c.stop(victim)
	path := filepath.Join(groupDir(filepath.Join(c.dir, victim), 0), "log", "raft.db")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	// Each copy of the value, for bbolt keeps older pages: key, checksum, value.
	flipped := 0
	for _, key := range []string{"CurrentTerm", "LastVoteTerm"} {
		for at := 0; ; flipped++ {
			i := strings.Index(string(b[at:]), key)
			if i < 0 {
				break
			}
			at += i + len(key) + 1
			b[at] ^= 1
		}
	}
	if flipped == 0 {
		t.Fatal("no stable value found")
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	c.start(victim)
	c.eventually(func() error { return c.node(victim).Ready() })
	c.want(victim, "DBSIZE", ":50\r\n")
	c.agree()
}

func damage(t *testing.T, dir string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.wal"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no log files in %s: %v", dir, err)
	}
	b, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	i := strings.Index(string(b), strings.Repeat("v", 100))
	if i < 0 {
		t.Fatal("value not found in the log")
	}
	b[i] ^= 1
	if err := os.WriteFile(files[0], b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestIdleClusterFromASnapshotAnswersAtOnce: the log before the snapshot ends with
// entries that never come to the state machine, and nothing is written any more.
func TestIdleClusterFromASnapshotAnswersAtOnce(t *testing.T) {
	c := newCluster(t, 3, func(o *Options) { o.SnapshotLogBytes, o.Unverified = 1, true }) // hardly any log is kept
	leader := c.leader()
	c.want(leader, "SET k v", "+OK\r\n")
	next := c.others(leader)[0]
	c.eventually(func() error {
		if err := c.group(leader).TransferLeadership(t.Context(), next); err != nil && !c.group(next).Serving() {
			return err
		}
		return nil
	})
	c.eventually(func() error {
		if !c.group(next).Serving() || c.group(leader).Serving() {
			return errors.New("not handed over")
		}
		return nil
	})
	c.eventually(func() error { // everybody has the no-op and the barrier of the new term
		for _, id := range c.ids {
			if g := c.group(id); g.raft.AppliedIndex() < c.group(next).raft.LastIndex() {
				return fmt.Errorf("%s is at %d", id, g.raft.AppliedIndex())
			}
		}
		return nil
	})
	for _, id := range c.ids {
		g := c.group(id)
		c.eventually(func() error {
			g.compactor.Compact()
			if at := g.compactor.At(); at <= g.fsm.Applied() {
				return fmt.Errorf("%s: the snapshot ends at %d with a command", id, at)
			}
			return nil
		})
	}
	c.stopAll()
	c.start(c.ids...)
	c.eventually(func() error {
		for _, id := range c.ids {
			if err := c.node(id).Ready(); err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			_, err := c.group(id).Read(ctx, command.ReadOptions{}, func(*command.Ctx) {})
			cancel()
			if err != nil {
				return fmt.Errorf("%s: %w", id, err)
			}
		}
		return nil
	})
}
