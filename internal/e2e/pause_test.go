//go:build linux

package e2e

import (
	"syscall"
	"testing"
	"time"
)

// TestPauseOfAllKeepsTheLeader: a machine without processor for a while, as under a CPU
// quota, is no reason for an election. Raft's usual rule deposes the leader: it has heard
// nobody for longer than a heartbeat timeout.
func TestPauseOfAllKeepsTheLeader(t *testing.T) {
	c := StartCluster(t, Options{Flags: []string{"--heartbeat-timeout", "1s", "--election-timeout", "1s"}})
	n := c.Nodes[0]
	if status, body, err := n.Do("PUT", "/v1/keys/k", `{"value":"v"}`); err != nil || status != 200 {
		t.Fatal(status, string(body), err)
	}
	term := n.metric(t, "lockstep_shard_term")
	for range 2 {
		for _, n := range c.Nodes {
			n.Signal(syscall.SIGSTOP)
		}
		<-time.After(2500 * time.Millisecond) // the pause itself; half of what they bear
		for _, n := range c.Nodes {
			n.Signal(syscall.SIGCONT)
		}
		Eventually(t, 10*time.Second, func() error { return n.Ready() })
		if status, body, err := n.Do("PUT", "/v1/keys/k", `{"value":"v"}`); err != nil || status != 200 {
			t.Error(status, string(body), err)
		}
	}
	for _, n := range c.Nodes {
		if got := n.metric(t, "lockstep_shard_term"); got != term {
			t.Errorf("term %s, then %s", term, got)
		}
	}
}
