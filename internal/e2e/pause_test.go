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
	const bear = 5 * time.Second // Raft's own patience
	for pauses := 0; pauses < 2; {
		term := n.term(0)
		began := time.Now()
		for _, n := range c.Nodes {
			n.Signal(syscall.SIGSTOP)
		}
		<-time.After(bear / 2) // the pause itself
		for _, n := range c.Nodes {
			n.Signal(syscall.SIGCONT)
		}
		tooLong := time.Since(began) > bear*3/4 // this test had no processor itself
		Eventually(t, patience, func() error { return n.Ready() })
		if status, body, err := n.Do("PUT", "/v1/keys/k", `{"value":"v"}`); err != nil || status != 200 {
			t.Error(status, string(body), err)
		}
		if tooLong {
			continue
		}
		pauses++
		for _, n := range c.Nodes {
			if got := n.term(0); got != term {
				t.Errorf("term %d, then %d", term, got)
			}
		}
	}
}
