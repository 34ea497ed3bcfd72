package e2e

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// TestLargeValuesHaveTheirTime: a deadline that is long for small requests does not end a
// large one, which is answered for certain, and takes a bounded part of its size in memory.
func TestLargeValuesHaveTheirTime(t *testing.T) {
	const size = 64 << 20
	// On a busy machine the leader may be late; that is not what this is about.
	c := StartCluster(t, Options{Flags: append([]string{"--request-timeout", "400ms", "--max-value-size", "64mb", "--log-cache", "32mb"}, steady...)})
	value := randomBytes(size)
	idle := map[*Node]int{}
	for _, n := range c.Nodes {
		idle[n] = n.memory(t, "VmRSS")
	}
	for _, through := range []string{"leader", "follower"} {
		for _, protocol := range []string{"resp", "http"} {
			leader := c.Leader(0)
			at := leader
			if through == "follower" {
				at = c.Others(leader)[0]
			}
			for _, n := range c.Nodes {
				n.resetPeak(t)
			}
			began := time.Now()
			at.putLarge(t, protocol, "large", value)
			took := since(began)
			for _, n := range c.Nodes {
				times := 2
				if n == leader {
					times = 3
				}
				const besides = 64 << 20 // the newest part of the log, and what grows with nothing
				peak := n.memory(t, "VmHWM") - idle[n] - size
				t.Logf("through the %s over %s: %v, %s at most %d MiB besides the value", through, protocol, took, n.ID, peak>>20)
				if peak > times*size+besides {
					t.Errorf("a value of %d MiB through the %s over %s: %s took %d MiB besides it", size>>20, through, protocol, n.ID, peak>>20)
				}
			}
			if got := at.inTime("GET", "large"); sha256.Sum256([]byte(got)) != sha256.Sum256(value) {
				t.Errorf("GET: %d bytes, another value", len(got))
			}
			if got := at.inTime("DEL", "large"); got != ":1" && got != ":0" { // again, after one in doubt
				t.Errorf("DEL: %s", got)
			}
			c.restMemory(t, idle)
		}
	}
}

// inTime asks again when the node has not had its request in the time that this test leaves to small ones.
func (n *Node) inTime(words ...string) (reply string) {
	n.t.Helper()
	Eventually(n.t, patience, func() error {
		if reply = n.Dial().Do(words...); strings.HasPrefix(reply, "-CLUSTERDOWN") || strings.HasPrefix(reply, "-INDOUBT") {
			return fmt.Errorf("%s: %s", words[0], reply)
		}
		return nil
	})
	return reply
}

func (n *Node) putLarge(t *testing.T, protocol, key string, value []byte) {
	t.Helper()
	if protocol == "resp" {
		if got := n.Dial().Do("SET", key, string(value)); got != "+OK" {
			t.Fatalf("SET: %.200s", got)
		}
		return
	}
	if status, body, err := n.Send("PUT", "/v1/keys/"+key, "application/octet-stream", bytes.NewReader(value)); status != 200 {
		t.Fatalf("PUT: %d %s %v", status, body, err)
	}
}

// restMemory waits until the nodes have given back what a value took. The collector of an idle node comes every two
// minutes at the latest, and what it frees is given back with little of the processor.
func (c *Cluster) restMemory(t *testing.T, idle map[*Node]int) {
	t.Helper()
	Eventually(t, 5*time.Minute, func() error {
		for _, n := range c.Nodes {
			if held := n.memory(t, "VmRSS") - idle[n]; held > 128<<20 {
				return fmt.Errorf("%s holds %d MiB when the value is gone", n.ID, held>>20)
			}
		}
		return nil
	})
}

// memory returns what /proc tells of the node's memory, in bytes.
func (n *Node) memory(t *testing.T, field string) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", n.pid()))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		var kib int
		if rest, ok := strings.CutPrefix(line, field+":"); ok {
			if _, err := fmt.Sscan(rest, &kib); err != nil {
				t.Fatal(err)
			}
			return kib << 10
		}
	}
	t.Fatalf("no %s of %s", field, n.ID)
	return 0
}

// resetPeak lets VmHWM begin at what there is.
func (n *Node) resetPeak(t *testing.T) {
	t.Helper()
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", n.pid()), []byte("5"), 0o600); err != nil {
		t.Fatal(err)
	}
}
