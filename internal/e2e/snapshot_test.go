package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

const bulkKeys = 400

// writeBulk overwrites the same keys with 8 KiB each until rounds times through,
// and returns what each key holds at the end.
func writeBulk(t *testing.T, n *Node, rounds int, mark string) map[string]string {
	t.Helper()
	ctx, r := context.Background(), n.Redis(1)
	want := make(map[string]string, bulkKeys)
	for round := range rounds {
		pipe := r.Pipeline()
		for i := range bulkKeys {
			key := fmt.Sprintf("bulk:%d", i)
			want[key] = strings.Repeat(fmt.Sprintf("%s round %d of %s;", mark, round, key), 8192/(len(mark)+24))
			pipe.Set(ctx, key, want[key], 0)
			if i%100 == 99 {
				if _, err := pipe.Exec(ctx); err != nil {
					t.Fatal(err)
				}
				pipe = r.Pipeline()
			}
		}
	}
	return want
}

// checkReplica compares what a node's own replica holds, without asking others.
func checkReplica(t *testing.T, n *Node, want map[string]string) {
	t.Helper()
	wrong := 0
	for key, value := range want {
		status, body, err := n.Do("GET", "/v1/keys/"+key+"?consistency=stale", "")
		var got struct {
			Value string `json:"value"`
		}
		if err == nil {
			err = json.Unmarshal(body, &got)
		}
		if err != nil || status != 200 || got.Value != value {
			if wrong++; wrong < 3 {
				t.Errorf("%s: %s is %d %.60q, %v; want %.60q", n.ID, key, status, got.Value, err, value)
			}
		}
	}
	if wrong > 0 {
		t.Errorf("%s: %d of %d keys are wrong", n.ID, wrong, len(want))
	}
}

// Snapshots are taken under load, nodes are killed and restart from them, a node
// that was away for long is sent one; all replicas hold the same at the end.
func TestSnapshotsUnderLoad(t *testing.T) {
	c := StartCluster(t, Options{Flags: []string{"--snapshot-log-bytes", "1mb"}})
	survivor := c.Nodes[0]
	load := StartLoad("snapshots", loadOn(survivor, 3, 1)...)
	var want map[string]string
	for round := range 4 {
		victim := c.Nodes[1+round%2]
		victim.Kill()
		load.WaitAcks(t, 20)
		want = writeBulk(t, survivor, 3, fmt.Sprintf("pass %d", round)) // 9 MiB
		victim.Start()
		c.WaitWhole()
	}
	if err := load.Stop(); err != nil {
		t.Errorf("clients of a surviving node saw errors: %v", err)
	}
	c.KillAll()
	c.StartAll()
	load.Check(t, survivor.Redis(1))
	taken, sent := map[string]int{}, map[string]int{}
	for _, n := range c.Nodes {
		checkReplica(t, n, want)
		taken[n.ID] = strings.Count(n.Log(), "snapshot taken")
		sent[n.ID] = strings.Count(n.Log(), "Installed remote snapshot")
		if taken[n.ID] == 0 {
			t.Errorf("%s took no snapshot", n.ID)
		}
	}
	if sent["n2"]+sent["n3"] == 0 {
		t.Error("no node that was away was sent a snapshot")
	}
	t.Logf("snapshots taken %v, received from the leader %v, %d writes beside", taken, sent, load.Acks())
}

// damage is a way to damage a node's files while it is down.
type damage struct {
	name  string
	flags []string
	do    func(t *testing.T, n *Node) (file string)
}

func damages() []damage {
	log := func(t *testing.T, n *Node) string {
		file, _ := FlipMarker(t, n.DataDir, marker, func(name string) bool { return name != "state.rdb" && name != "meta.json" })
		return file
	}
	return []damage{
		{"snapshot", []string{"--snapshot-log-bytes", "1mb"}, func(t *testing.T, n *Node) string {
			file := n.NewestSnapshot(0)
			info, err := os.Stat(file)
			if err != nil {
				t.Fatal(err)
			}
			flipBit(t, file, info.Size()/2)
			return file
		}},
		{"log wal", nil, log},
		{"log bolt", []string{"--log-engine", "bolt"}, log},
	}
}

// marker is a value whose place in the log the test looks for.
const marker = "a value to be damaged, 0123456789 abcdefghijklmnopqrstuvwxyz"

// fillAndStop writes enough that there are a snapshot and a log, and kills n.
func fillAndStop(t *testing.T, c *Cluster, n *Node) map[string]string {
	t.Helper()
	if err := (HTTPClient{c.Nodes[0]}).Set("marked", marker); err != nil {
		t.Fatal(err)
	}
	want := writeBulk(t, c.Nodes[0], 2, "before the damage")
	want["marked"] = marker
	if n.hasFlag("--snapshot-log-bytes") {
		Eventually(t, patience, func() error {
			if n.NewestSnapshot(0) == "" || !strings.Contains(n.Log(), "snapshot taken") {
				return fmt.Errorf("%s has no snapshot", n.ID)
			}
			return nil
		})
	}
	Eventually(t, patience, func() error { // the replica has everything
		status, body, err := n.Do("GET", "/v1/keys/bulk:0", "")
		if err != nil || status != 200 {
			return fmt.Errorf("%d %s %w", status, body, err)
		}
		return nil
	})
	n.Signal(syscall.SIGKILL)
	n.Kill()
	return want
}

func (n *Node) hasFlag(flag string) bool {
	for _, a := range n.args {
		if a == flag {
			return true
		}
	}
	return false
}

// One flipped bit on a follower's disk is found at its start, reported by file
// and offset, and repaired from the other replicas.
func TestDamagedFollowerIsRepaired(t *testing.T) {
	for _, d := range damages() {
		t.Run(d.name, func(t *testing.T) {
			c := StartCluster(t, Options{Flags: d.flags})
			follower := c.Others(c.Leader(0))[0]
			if follower == c.Nodes[0] {
				c.Nodes[0], c.Nodes[1] = c.Nodes[1], c.Nodes[0] // the writer's node stays
			}
			want := fillAndStop(t, c, follower)
			file := d.do(t, follower)
			follower.Start()
			c.WaitWhole()
			reportedPlace(t, follower.Log(), file)
			checkReplica(t, follower, want)
		})
	}
}

// Without other replicas a damaged node refuses to start rather than to serve
// what may be wrong.
func TestDamagedSingleNodeRefuses(t *testing.T) {
	for _, d := range damages() {
		t.Run(d.name, func(t *testing.T) {
			c := StartCluster(t, Options{Nodes: 1, Flags: d.flags})
			n := c.Nodes[0]
			fillAndStop(t, c, n)
			file := d.do(t, n)
			n.Start()
			if code := n.Wait(patience); code == 0 {
				t.Error("exit code 0")
			} else {
				t.Logf("exit code %d", code)
			}
			reportedPlace(t, n.Log(), file)
		})
	}
}

// reportedPlace checks that a log names a file and the place within it: an
// offset, or for an entry in a bbolt file its index.
func reportedPlace(t *testing.T, log, file string) {
	t.Helper()
	place := regexp.MustCompile(regexp.QuoteMeta(file) + `(:? at (offset|byte) \d+| \(log index \d+\))`)
	for line := range strings.SplitSeq(log, "\n") {
		if place.MatchString(line) {
			t.Log(line)
			return
		}
	}
	t.Errorf("the log names no place in %s", file)
}
