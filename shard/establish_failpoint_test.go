//go:build failpoints

package shard

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lockstepkv/lockstep/internal/failpoint"
)

// TestLeaderTriesAgainToServe: Raft says only once who leads.
func TestLeaderTriesAgainToServe(t *testing.T) {
	var hits atomic.Int32
	for _, id := range []string{"n1", "n2", "n3"} {
		disable := failpoint.Enable("shard/establish/"+id, func() error {
			if hits.Add(1) <= 3 {
				return errors.New("leadership transfer in progress")
			}
			return nil
		})
		defer disable()
	}
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
