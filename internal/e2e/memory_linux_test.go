package e2e

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"
)

// TestMemoryThatChangesByItself flips a bit of a value in the memory of a node, as bad
// memory does: of a follower first, then of the leader. The node finds out, gets the data
// of another, and answers right.
func TestMemoryThatChangesByItself(t *testing.T) {
	c := StartCluster(t, Options{Flags: []string{"--audit-interval", "1s"}})
	for _, leads := range []bool{false, true} {
		n := c.Leader(0)
		if !leads {
			n = c.Others(n)[0]
		}
		key := fmt.Sprintf("key-%v", leads)
		value := strings.Repeat(key+".", 8)
		w := n.Dial()
		if got := w.Do("SET", key, value); got != "+OK" {
			t.Fatalf("SET: %s", got)
		}
		before, term := n.metric(t, "lockstep_shard_diverged_total"), n.term(0)
		Eventually(t, patience, func() error {
			// The store keeps a short value behind its key; elsewhere there are lengths in between.
			if flipped := flipMemory(t, n.pid(), []byte(key+value)); flipped == 0 {
				return fmt.Errorf("%s has not applied it", n.ID)
			}
			return nil
		})
		Eventually(t, patience, func() error {
			if n.metric(t, "lockstep_shard_diverged_total") == before {
				return fmt.Errorf("%s has not noticed", n.ID)
			}
			return n.Ready()
		})
		if !strings.Contains(n.Log(), "REPLICA DIVERGED") || !strings.Contains(n.Log(), "replica rebuilt") {
			t.Error("the log says nothing")
		}
		if got := w.Do("GET", key); got != value {
			t.Errorf("GET: %q", got)
		}
		if leads && c.Leader(0) == n && n.term(0) == term {
			t.Errorf("%s leads on", n.ID)
		}
	}
}

// flipMemory flips a bit in the middle of every place where pattern lies in what a process
// may write, and returns how many there were.
func flipMemory(t *testing.T, pid int, pattern []byte) (places int) {
	t.Helper()
	maps, err := os.Open(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		t.Fatal(err)
	}
	defer maps.Close()
	mem, err := os.OpenFile(fmt.Sprintf("/proc/%d/mem", pid), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer mem.Close()
	for lines := bufio.NewScanner(maps); lines.Scan(); {
		var from, to int64
		var mode string
		if _, err := fmt.Sscanf(lines.Text(), "%x-%x %s", &from, &to, &mode); err != nil || !strings.HasPrefix(mode, "rw") || to-from > 1<<30 {
			continue
		}
		area := make([]byte, to-from)
		if _, err := mem.ReadAt(area, from); err != nil {
			continue // not there any more, or never was
		}
		for at := 0; ; places++ {
			i := bytes.Index(area[at:], pattern)
			if i < 0 {
				break
			}
			at += i + len(pattern)/2
			if _, err := mem.WriteAt([]byte{area[at] ^ 1}, from+int64(at)); err != nil {
				t.Fatal(err)
			}
		}
	}
	return places
}

// metric returns a metric of the node's first shard.
func (n *Node) metric(t *testing.T, name string) string {
	t.Helper()
	_, body, err := n.Do("GET", "/metrics", "")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(body)) {
		if rest, ok := strings.CutPrefix(line, name+`{shard="0"} `); ok {
			return strings.TrimSpace(rest)
		}
	}
	return "0"
}
