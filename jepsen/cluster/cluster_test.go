package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/lockstepkv/lockstep/internal/procs"
)

// patience is for a busy machine; nothing waits that long when all is well.
const patience = 2 * time.Minute

func startCluster(t *testing.T, network string) (context.Context, *Cluster) {
	t.Helper()
	dir := t.TempDir()
	bin, err := procs.Build(t.Context(), "../..", dir, "harness") // which may take long
	if err != nil {
		t.Fatal(err)
	}
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	// As on a command line.
	if bin, err = filepath.Rel(here, bin); err != nil {
		t.Fatal(err)
	}
	c, err := New(Options{Binary: bin, Dir: dir, Nodes: 3, Network: network})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	ctx, cancel := context.WithTimeout(context.Background(), 4*patience)
	t.Cleanup(cancel)
	t.Log(c.Net.Kind())
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	whole(ctx, t, c)
	return ctx, c
}

func whole(ctx context.Context, t *testing.T, c *Cluster) {
	t.Helper()
	if err := c.WaitWhole(ctx, patience); err != nil {
		log, _ := os.ReadFile(c.Nodes[0].LogFile)
		t.Fatalf("%v\n%s", err, log)
	}
}

// until polls for what a fault brings about.
func until(ctx context.Context, t *testing.T, check func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := procs.Poll(ctx, 20*time.Millisecond, check); err != nil {
		t.Fatal(err)
	}
}

// Faults do to real nodes what they are meant to do, and all of it can be undone.
func TestFaultsOnRealNodes(t *testing.T) {
	for _, network := range []string{AutoNetwork, Seam} {
		t.Run(network, func(t *testing.T) { faultsOnRealNodes(t, network) })
	}
}

func faultsOnRealNodes(t *testing.T, network string) {
	ctx, c := startCluster(t, network)
	leader, err := c.Leader(ctx, 0)
	if err != nil {
		t.Fatal(err)
	}
	cut := map[Pair]bool{}
	for _, o := range c.Others(leader) {
		cut[Pair{leader.Index, o.Index}], cut[Pair{o.Index, leader.Index}] = true, true
	}
	if err := c.Net.Apply(Rules{Cut: cut}); err != nil {
		t.Fatal(err)
	}
	until(ctx, t, func() error { return anotherLeads(ctx, c, leader) })
	until(ctx, t, func() error {
		dropped, err := c.Net.Dropped()
		for pair := range cut {
			if dropped[pair] == 0 {
				err = errors.Join(err, fmt.Errorf("nothing was dropped from %d to %d", pair.From, pair.To))
			}
		}
		return err
	})
	if err := leader.Pause(); err != nil {
		t.Fatal(err)
	}
	until(ctx, t, func() error { return anotherLeads(ctx, c, leader) })
	if got := leader.State(); got != Stopped {
		t.Errorf("paused node is %s", got)
	}
	other := c.Others(leader)[0]
	if err := other.Kill(); err != nil {
		t.Fatal(err)
	}
	if got := other.State(); got != Down {
		t.Errorf("killed node is %s", got)
	}
	if err := c.Heal(); err != nil {
		t.Fatal(err)
	}
	whole(ctx, t, c)
	if _, err := c.Agree(ctx, patience); err != nil {
		t.Error(err)
	}
	for _, n := range c.Nodes {
		if e := n.unexpected(); e != nil {
			t.Errorf("ended by itself: %+v", *e)
		}
	}
}

func anotherLeads(ctx context.Context, c *Cluster, old *Node) error {
	for _, n := range c.Others(old) {
		v, err := n.View(ctx)
		if err == nil && v.Shards[0].Leader == n.ID {
			return nil
		}
	}
	return fmt.Errorf("nobody but %s leads", old.ID)
}

// A leader whose clock the harness moves too far gives up its office.
func TestClockOfOneNode(t *testing.T) {
	ctx, c := startCluster(t, AutoNetwork)
	leader, err := c.Leader(ctx, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := leader.SetClock(time.Hour, 1); err != nil {
		t.Fatal(err)
	}
	until(ctx, t, func() error { return anotherLeads(ctx, c, leader) })
	if err := c.Heal(); err != nil {
		t.Fatal(err)
	}
	whole(ctx, t, c)
}
