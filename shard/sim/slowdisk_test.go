package sim

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// led is a cluster that n2 leads: n1 waits longer than the others for a silent leader.
func led(t *testing.T, nodes int) *Cluster {
	c := New(Options{Nodes: nodes, Seed: 7, Dir: t.TempDir(), Lease: 250 * time.Millisecond})
	check(t, c, c.Start(c.IDs...))
	check(t, c, c.Await("n2 does not lead", func() bool {
		if l := c.Leader(); l != "" && l != "n2" {
			_ = c.Node(l).TransferLeadership(t.Context(), 0, "n2") // again, if it failed
		}
		return c.Node("n2").Groups()[0].Serving()
	}))
	check(t, c, write(t, c, "n2", "before"))
	time.Sleep(2 * time.Second) // the nodes have told each other of themselves
	return c
}

func check(t *testing.T, c *Cluster, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%v\n%s", err, c.Trace())
	}
}

func write(t *testing.T, c *Cluster, id, key string) error {
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	_, err := propose(ctx, WayOf(c.Node(id)), "SET", key, "v")
	return err
}

// successor waits until another node than n2 serves.
func successor(c *Cluster, within time.Duration) (string, error) {
	for until := time.Now().Add(within); time.Now().Before(until); time.Sleep(5 * time.Millisecond) {
		for _, id := range c.IDs {
			if id != "n2" && c.Node(id).Groups()[0].Serving() {
				return id, nil
			}
		}
	}
	return "", fmt.Errorf("after %v no other node leads", within)
}

// TestHungDiskCostsTheLeadership: the process goes on, and would send heartbeats.
func TestHungDiskCostsTheLeadership(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := led(t, 3)
		defer c.Close()
		c.Disk("n2").SetSlow(25 * time.Second)
		hung := make(chan error, 1)
		go func() { hung <- write(t, c, "n2", "hangs") }()
		next, err := successor(c, 2*time.Second)
		check(t, c, err)
		check(t, c, write(t, c, next, "meanwhile"))
		if err := <-hung; err == nil {
			t.Error("a write was acknowledged while the leader's disk hung")
		}
		if err := c.Node("n2").Ready(); err == nil {
			t.Error("a node whose disk hangs is ready")
		}
		c.Disk("n2").SetSlow(0)
		check(t, c, c.Await("n2 is not back", func() bool {
			return c.Node("n2").Ready() == nil && write(t, c, "n2", "after") == nil
		}))
		if c.Node("n2").Groups()[0].Serving() {
			t.Error("n2 leads again at once")
		}
	})
}

// TestHungDiskIsWorseThanOneThatHung: a follower's disk was slow a moment ago.
func TestHungDiskIsWorseThanOneThatHung(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := led(t, 3)
		defer c.Close()
		c.Disk("n3").SetSlow(time.Second)
		check(t, c, write(t, c, "n2", "slow"))
		c.Disk("n3").SetSlow(0)
		time.Sleep(2 * time.Second)
		c.Disk("n2").SetSlow(8 * time.Second)
		go func() { _ = write(t, c, "n2", "hangs") }()
		next, err := successor(c, 2*time.Second)
		check(t, c, err)
		check(t, c, write(t, c, next, "meanwhile"))
		c.Disk("n2").SetSlow(0)
		time.Sleep(10 * time.Second)
	})
}

// TestHungDiskAloneIsStillNeeded: with a majority that includes the slow disk, moving the
// leadership would gain nothing.
func TestHungDiskAloneIsStillNeeded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := led(t, 3)
		defer c.Close()
		c.Crash("n1")
		term := c.Node("n2").Groups()[0].Info().Term
		c.Disk("n2").SetSlow(2 * time.Second)
		check(t, c, write(t, c, "n2", "slow"))
		if i := c.Node("n2").Groups()[0].Info(); i.Term != term || !i.Serving {
			t.Errorf("the leadership moved: %+v, was term %d", i, term)
		}
	})
}

// TestSlowFollowerDoesNotCampaign as long as the others can do without it.
func TestSlowFollowerDoesNotCampaign(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := led(t, 5)
		defer c.Close()
		c.Disk("n3").SetSlow(1500 * time.Millisecond)
		check(t, c, write(t, c, "n2", "slow"))
		time.Sleep(3 * time.Second) // n3 has written, and told so
		c.Disk("n3").SetSlow(0)
		if err := c.Node("n2").TransferLeadership(t.Context(), 0, "n3"); err == nil {
			check(t, c, c.Await("nobody leads", func() bool { return c.Leader() != "" }))
			if c.Leader() == "n3" {
				t.Error("a node with a slow disk was elected")
			}
		}
	})
}
