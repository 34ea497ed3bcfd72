package e2e

import (
	"slices"
	"testing"
	"time"
)

// loadOn returns clients of a node: go-redis and HTTP.
func loadOn(n *Node, redisClients, httpClients int) []Client {
	var clients []Client
	r := n.Redis(redisClients)
	for range redisClients {
		clients = append(clients, RedisClient{r})
	}
	for range httpClients {
		clients = append(clients, HTTPClient{n})
	}
	return clients
}

// Clients of a surviving node see kill -9 of the leader as a pause and nothing else.
func TestKillLeaderUnderLoad(t *testing.T) {
	c := StartCluster(t, Options{})
	survivor := c.Nodes[0]
	load := StartLoad("kill", loadOn(survivor, 6, 2)...)
	var gaps []time.Duration
	for round := range 5 {
		victim := c.Nodes[1+round%2]
		c.MoveLeader(victim)
		load.WaitAcks(t, 200)
		killed := time.Now()
		victim.Kill()
		load.WaitAcks(t, 200)
		gaps = append(gaps, load.Gap(killed.Add(-20*time.Millisecond)))
		victim.Start()
		c.WaitWhole()
	}
	if err := load.Stop(); err != nil {
		t.Errorf("clients of a surviving node saw errors: %v", err)
	}
	for _, n := range c.Nodes {
		load.Check(t, n.Redis(1))
	}
	t.Logf("kill -9 of the leader: gaps in acknowledged writes %v; %d writes", rounded(gaps), load.Acks())
	slices.Sort(gaps)
	t.Logf("median gap %v", gaps[len(gaps)/2].Round(time.Millisecond))
}

func rounded(list []time.Duration) []time.Duration {
	out := slices.Clone(list)
	for i := range out {
		out[i] = out[i].Round(time.Millisecond)
	}
	return out
}

// Every acknowledged write survives kill -9 of all nodes at once.
func TestKillAllUnderLoad(t *testing.T) {
	t.Run("wal", func(t *testing.T) { killAllRounds(t, "wal", 14) })
	t.Run("bolt", func(t *testing.T) { killAllRounds(t, "bolt", 6) })
}

func killAllRounds(t *testing.T, engine string, rounds int) {
	c := StartCluster(t, Options{Flags: []string{"--log-engine", engine}})
	var past []*Load
	began, writes, doubts := time.Now(), 0, int64(0)
	for round := range rounds {
		var clients []Client
		for _, n := range c.Nodes {
			clients = append(clients, loadOn(n, 3, 1)...)
		}
		load := StartLoad(engine+string(rune('a'+round)), clients...)
		load.WaitAcks(t, 300)
		c.KillAll()
		if load.Stop() == nil {
			t.Error("no client noticed that all nodes were killed")
		}
		past = append(past, load)
		writes += load.Acks()
		for _, w := range load.writers {
			doubts += w.doubted
		}
		c.StartAll()
		// The newest writes after each round, all of them after the last.
		load.Check(t, c.Nodes[round%3].Redis(1))
		if t.Failed() {
			t.Fatalf("round %d", round)
		}
	}
	for _, load := range past {
		load.Check(t, c.Nodes[0].Redis(1))
	}
	t.Logf("engine %s: %d rounds of kill -9 of all nodes in %v, %d writes acknowledged, %d increments in doubt, none lost",
		engine, rounds, time.Since(began).Round(time.Millisecond), writes, doubts)
}
