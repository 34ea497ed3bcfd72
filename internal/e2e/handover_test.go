package e2e

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// A leader that is told to stop hands over: clients of other nodes see hardly a pause.
func TestStopLeaderUnderLoad(t *testing.T) {
	c := StartCluster(t, Options{})
	survivor := c.Nodes[0]
	load := StartLoad("stop", loadOn(survivor, 6, 2)...)
	var gaps []time.Duration
	for round := range 4 {
		leader := c.Nodes[1+round%2]
		c.MoveLeader(leader)
		load.WaitAcks(t, 200)
		stopped := time.Now()
		leader.Signal(syscall.SIGTERM)
		if code := leader.Wait(stopPatience); code != 0 {
			t.Errorf("SIGTERM of the leader: exit code %d", code)
		}
		ended := since(stopped)
		load.WaitAcks(t, 200)
		gaps = append(gaps, load.Gap(stopped.Add(-20*time.Millisecond)))
		t.Logf("round %d: the process ended after %v, gap %v", round, ended, gaps[round].Round(time.Millisecond))
		leader.Start()
		c.WaitWhole()
	}
	if err := load.Stop(); err != nil {
		t.Errorf("clients of another node saw errors: %v", err)
	}
	for _, n := range c.Nodes {
		load.Check(t, n.Redis(1))
	}
	t.Logf("SIGTERM of the leader: gaps in acknowledged writes %v", rounded(gaps))
}

// A leader that freezes and comes back neither answers with old values nor loses
// what was acknowledged meanwhile.
func TestFreezeLeaderUnderLoad(t *testing.T) {
	for _, mode := range []string{"quorum", "lease"} {
		t.Run(mode, func(t *testing.T) { freezeLeader(t, mode) })
	}
}

func freezeLeader(t *testing.T, mode string) {
	c := StartCluster(t, Options{Flags: []string{"--read-mode", mode}})
	observer := c.Nodes[0]
	for round := range 4 {
		frozen := c.Nodes[1+round%2]
		c.MoveLeader(frozen)
		name := fmt.Sprintf("freeze%d", round)
		outside := StartLoad(name+":outside", loadOn(observer, 3, 1)...)
		inside := StartLoad(name+":inside", loadOn(frozen, 3, 1)...)
		var readers []redis.UniversalClient
		for range 4 {
			readers = append(readers, frozen.Redis(1), observer.Redis(1))
		}
		register := WatchRegister(name+":register", observer.Redis(1), readers...)
		outside.WaitAcks(t, 100)
		inside.WaitAcks(t, 50)

		at := time.Now()
		frozen.Signal(syscall.SIGSTOP)
		outside.WaitAcks(t, 10)
		gap := outside.Gap(at.Add(-20 * time.Millisecond))
		// Others lead now and have written much that the frozen node knows nothing of.
		outside.WaitAcks(t, 300)
		frozen.Signal(syscall.SIGCONT)
		thawed := since(at)
		inside.WaitAcks(t, 50)
		outside.WaitAcks(t, 100)
		if err := outside.Stop(); err != nil {
			t.Errorf("clients of another node saw errors: %v", err)
		}
		if err := inside.Stop(); err != nil {
			t.Logf("clients of the frozen node saw: %v", err)
		}
		if err := register.Stop(); err != nil {
			t.Errorf("stale reads: %v", err)
		}
		c.WaitWhole()
		for _, n := range c.Nodes {
			outside.Check(t, n.Redis(1))
			inside.Check(t, n.Redis(1))
		}
		t.Logf("%s: frozen for %v, gap for others %v, %d reads right, %d without an answer", mode, thawed, gap.Round(time.Millisecond), register.reads.Load(), register.failed.Load())
	}
}
