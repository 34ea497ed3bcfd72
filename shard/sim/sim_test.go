package sim

import (
	"context"
	"flag"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

var (
	seedFlag     = flag.Uint64("sim.seed", 0, "run this seed only")
	runsFlag     = flag.Int("sim.runs", 2, "seeds per configuration")
	durationFlag = flag.Duration("sim.duration", time.Minute, "virtual time of one run")
)

// configurations are what every seed is run with.
func configurations() map[string]Options {
	return map[string]Options{
		"three":         {Nodes: 3},
		"five":          {Nodes: 5},
		"three-of-five": {Nodes: 5, Replicas: 3}, // clients of two nodes are served from afar
		"three-lease":   {Nodes: 3, Lease: 250 * time.Millisecond},
		// Longer than an election: a new leader is silent while the old one answers.
		"three-long-lease": {Nodes: 3, Lease: 2 * time.Second},
	}
}

// TestRandomFaults runs clients and random faults, and demands that nobody was told
// anything that contradicts what was told before.
func TestRandomFaults(t *testing.T) {
	if testing.Short() { // with the race detector all of it is slow
		*runsFlag, *durationFlag = 1, min(*durationFlag, 20*time.Second)
	}
	for name, o := range configurations() {
		t.Run(name, func(t *testing.T) {
			first, runs := *seedFlag, 1
			if first == 0 {
				first, runs = rand.Uint64N(1<<32), *runsFlag
			}
			for i := range runs {
				o.Seed, o.Dir = first+uint64(i), t.TempDir()
				began := time.Now()
				ops := 0
				synctest.Test(t, func(t *testing.T) { ops = randomRun(t, o, *durationFlag) })
				if t.Failed() {
					t.Fatalf("again: go test -tags failpoints ./shard/sim -run TestRandomFaults/%s -sim.seed %d -sim.duration %v", name, o.Seed, *durationFlag)
				}
				t.Logf("seed %d: %d operations succeeded in %v of virtual time, %v of real", o.Seed, ops, *durationFlag, time.Since(began).Round(time.Millisecond))
			}
		})
	}
}

func randomRun(t *testing.T, o Options, duration time.Duration) (ops int) {
	c := New(o)
	defer c.Close()
	j := NewJudge(c)
	defer func() {
		if err := j.Err(); err != nil {
			t.Errorf("seed %d: %v\n%s", o.Seed, err, c.Trace())
		}
	}()
	if err := c.Start(c.IDs...); err != nil {
		t.Fatal(err)
	}
	if err := c.Await("no leader", func() bool { return c.Leader() != "" }); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	for i := range 6 {
		cl := &Client{ID: i, C: c, J: j}
		clients.Go(func() { cl.Run(ctx) })
	}
	clients.Go(func() {
		for ctx.Err() == nil {
			j.Look()
			time.Sleep(50 * time.Millisecond)
		}
	})
	for until := time.Now().Add(duration); time.Now().Before(until) && j.Err() == nil; {
		fault(c, j)
	}
	heal(c)
	time.Sleep(5 * time.Second)
	if err := c.Await("a replica's data are wrong for ever", func() bool { id, _ := j.Suspected(); return id == "" }); err != nil {
		t.Errorf("seed %d: %v\n%s", o.Seed, err, c.Trace())
	}
	stop()
	clients.Wait()
	if j.Err() == nil {
		finalReads(t, c, j)
	}
	return j.Ops
}

// finalReads compares the counters on every node with what was acknowledged.
func finalReads(t *testing.T, c *Cluster, j *Judge) {
	for _, key := range []string{"c0", "c1"} {
		for _, id := range c.IDs {
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			v, err := Get(ctx, WayOf(c.Node(id)), key)
			cancel()
			if err != nil {
				t.Errorf("seed %d: %s does not answer on the healed cluster: %v\n%s", c.opt.Seed, id, err, c.Trace())
				return
			}
			j.Total(key, v)
		}
	}
	if j.Ops < 100 {
		t.Errorf("seed %d: only %d operations succeeded", c.opt.Seed, j.Ops)
	}
}

func heal(c *Cluster) {
	c.Net.Heal()
	for _, id := range c.IDs {
		c.Disk(id).SetSlow(0)
		c.Clock(id).Set(0)
	}
	if err := c.Start(down(c)...); err != nil {
		c.Note("start: %v", err)
	}
}

func down(c *Cluster) (ids []string) {
	for _, id := range c.IDs {
		if c.Node(id) == nil {
			ids = append(ids, id)
		}
	}
	return ids
}

// fault injects one fault, holds it for a while, and heals it.
func fault(c *Cluster, j *Judge) {
	hold := time.Duration(100+c.Rng.IntN(2500)) * time.Millisecond
	one := c.IDs[c.Rng.IntN(len(c.IDs))]
	if l := c.Leader(); l != "" && c.Rng.IntN(2) == 0 {
		one = l
	}
	other := c.IDs[c.Rng.IntN(len(c.IDs))]
	switch n := c.Rng.IntN(14); n {
	case 0, 1:
		c.Note("%s is cut off", one)
		for _, o := range c.IDs {
			c.Net.Cut(one, o)
			c.Net.Cut(o, one)
		}
		time.Sleep(hold)
		c.Net.Heal()
	case 2:
		c.Note("nobody hears %s", one)
		for _, o := range c.IDs {
			c.Net.Cut(one, o)
		}
		time.Sleep(hold)
		c.Net.Heal()
	case 3:
		c.Note("%s hears nobody", one)
		for _, o := range c.IDs {
			c.Net.Cut(o, one)
		}
		time.Sleep(hold)
		c.Net.Heal()
	case 4:
		c.Note("cut between %s and %s", one, other)
		c.Net.Cut(one, other)
		c.Net.Cut(other, one)
		time.Sleep(hold)
		c.Net.Break(one, other)
		c.Net.Heal()
	case 5:
		c.Note("connections of %s break", one)
		c.Net.Break(one, "")
		time.Sleep(hold / 4)
	case 6, 7:
		c.Crash(one)
		time.Sleep(hold / 2)
		restart(c)
	case 8:
		if c.Rng.IntN(3) == 0 {
			for _, id := range c.IDs {
				c.Crash(id)
			}
			restart(c)
		}
	case 9:
		c.Note("the disk of %s is slow", one)
		by := time.Duration(c.Rng.IntN(300)) * time.Millisecond
		if c.Rng.IntN(3) == 0 {
			by = 4 * time.Second // it hangs, and comes back
		}
		c.Disk(one).SetSlow(by)
		time.Sleep(hold)
		c.Disk(one).SetSlow(0)
	case 10:
		c.Note("the clock of %s is set wrong", one)
		c.Clock(one).Set([]time.Duration{24 * time.Hour, -24 * time.Hour, time.Second, -time.Second}[c.Rng.IntN(4)])
		time.Sleep(hold)
		c.Clock(one).Set(0)
	case 11, 12:
		if c.Rng.IntN(2) == 0 {
			one = c.IDs[0] // the stubborn one
		}
		transfer(c, one, other)
	case 13:
		corrupt(c, j, one)
	}
	// Beside all of them: somebody's state machine is late.
	if c.Rng.IntN(2) == 0 {
		applyLate(c, one, hold)
	}
	time.Sleep(time.Duration(c.Rng.IntN(1500)) * time.Millisecond)
}

func restart(c *Cluster) {
	if err := c.Start(down(c)...); err != nil {
		c.Note("start: %v", err)
	}
}

func transfer(c *Cluster, to, cut string) {
	leader := c.Leader()
	if leader == "" || leader == to {
		return
	}
	if c.Rng.IntN(3) == 0 {
		for _, o := range c.IDs {
			c.Net.Cut(o, cut)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	err := c.Node(leader).TransferLeadership(ctx, 0, to)
	c.Note("%s hands over to %s: %v", leader, to, err)
	c.Net.Heal()
}

func TestMain(m *testing.M) {
	flag.Parse()
	goleak.VerifyTestMain(m)
}
