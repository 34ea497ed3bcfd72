//go:build failpoints

package shard

import (
	"errors"
	"sync/atomic"
	"testing"

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
	g := c.group(bad)
	var led atomic.Uint64 // the term that it was elected in first
	disable := failpoint.Enable("shard/establish/"+bad, func() error {
		led.CompareAndSwap(0, g.raft.CurrentTerm())
		if g.raft.CurrentTerm() == led.Load() {
			return errors.New("cannot")
		}
		return nil // somebody else has led since
	})
	defer disable()
	c.eventually(func() error {
		if led.Load() > 0 {
			return nil
		}
		return errors.Join(errors.New("not elected"), c.group(first).TransferLeadership(t.Context(), bad))
	})
	c.want(first, "SET k v", "+OK\r\n")
	if got := g.raft.CurrentTerm(); got <= led.Load() {
		t.Errorf("term %d: nobody took over from the leader that could not serve", got)
	}
}
