package shard

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
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
	if !c.group(wiped).quarantined.Load() && c.group(wiped).fsm.Applied() == 0 {
		t.Fatal("an empty replica of an old shard has a vote")
	}
	c.eventually(func() error {
		if c.group(wiped).quarantined.Load() {
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
