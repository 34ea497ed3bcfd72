//go:build failpoints

package shard

import (
	"errors"
	"testing"
	"time"

	"github.com/lockstepkv/lockstep/internal/failpoint"
)

// TestLeaderTriesAgainToServe: Raft says only once who leads.
func TestLeaderTriesAgainToServe(t *testing.T) {
	disable, err := failpoint.EnableSpec("shard/establish", "3*error(leadership transfer in progress)")
	if err != nil {
		t.Fatal(err)
	}
	defer disable()
	c := newCluster(t, 3, nil)
	c.want(c.leader(), "SET k v", "+OK\r\n")
}

// TestLeaderThatCannotServeResigns: another node leads then.
func TestLeaderThatCannotServeResigns(t *testing.T) {
	c := newCluster(t, 3, nil)
	first := c.leader()
	bad := c.others(first)[0]
	until := time.Now().Add(3 * time.Second)
	disable := failpoint.Enable("shard/establish/"+bad, func() error {
		if time.Now().Before(until) {
			return errors.New("cannot")
		}
		return nil
	})
	defer disable()
	term := c.group(first).raft.CurrentTerm()
	if err := c.group(first).TransferLeadership(t.Context(), bad); err != nil {
		t.Fatal(err)
	}
	c.want(first, "SET k v", "+OK\r\n")
	if got := c.group(bad).raft.CurrentTerm(); got < term+2 {
		t.Errorf("term %d after %d: nobody took over from the leader that could not serve", got, term)
	}
}
