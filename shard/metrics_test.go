package shard

import (
	"fmt"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// TestExpiredKeysAreACounter that shows each key once, however often it is read.
func TestExpiredKeysAreACounter(t *testing.T) {
	reg := prometheus.NewRegistry()
	c := newCluster(t, 1, func(o *Options) { o.Metrics = reg })
	for i := range 5 {
		c.want("n1", fmt.Sprintf("SET k%d v PX 1", i), "+OK\r\n")
	}
	c.eventually(func() error {
		families, err := reg.Gather()
		if err != nil {
			return err
		}
		for _, f := range families {
			if f.GetName() == "lockstep_shard_expired_keys_total" && f.GetType().String() == "COUNTER" {
				if got := f.Metric[0].Counter.GetValue(); got != 5 {
					return fmt.Errorf("%v keys", got)
				}
				return nil
			}
		}
		return fmt.Errorf("no such counter")
	})
	if got := c.group("n1").Figures(); got.Expired != 5 || got.UsedPeak == 0 {
		t.Errorf("%+v", got)
	}
}

// What docs/operations.md promises, and what operators need, is there and tells something.
func TestMetricsForOperators(t *testing.T) {
	registries := map[string]*prometheus.Registry{}
	c := newCluster(t, 3, func(o *Options) {
		patient(o)
		o.SnapshotLogBytes = 1000
		registries[o.NodeID] = o.Metrics.(*prometheus.Registry)
	})
	c.want("n1", "SET k "+strings.Repeat("v", 2000), "+OK\r\n")
	leader := c.leader()
	want := map[string]func(float64) bool{
		"lockstep_shard_elections_total outcome=won shard=0":     func(v float64) bool { return v >= 1 },
		"lockstep_shard_elections_total outcome=started shard=0": func(v float64) bool { return v >= 1 },
		"lockstep_peer_connections_displaced_total":              func(v float64) bool { return v == 0 },
		"lockstep_shard_diverged_total shard=0":                  func(v float64) bool { return v == 0 },
		"lockstep_shard_lock_events_total event=forced shard=0":  func(v float64) bool { return v == 0 },
		"lockstep_shard_log_bytes shard=0":                       func(v float64) bool { return v > 0 },
		"lockstep_shard_log_cache_bytes shard=0":                 func(v float64) bool { return v > 0 },
		"lockstep_shard_snapshot_bytes shard=0":                  func(v float64) bool { return v > 100 },
		"lockstep_shard_snapshot_age_seconds shard=0":            func(v float64) bool { return v >= 0 && v < 60 },
	}
	for _, peer := range c.others(leader) {
		want["lockstep_peer_connected peer="+peer] = func(v float64) bool { return v == 1 }
		want["lockstep_clock_offset_seconds peer="+peer] = func(v float64) bool { return v < 1 }
		want["lockstep_shard_follower_lag_entries peer="+peer+" shard=0"] = func(v float64) bool { return v == 0 }
	}
	c.eventually(func() error {
		got := gathered(t, registries[leader])
		for name, ok := range want {
			if v, there := got[name]; !there || !ok(v) {
				return fmt.Errorf("%s: %v, %t", name, v, there)
			}
		}
		return nil
	})
	for id, reg := range registries {
		if _, there := gathered(t, reg)["lockstep_shard_elections_total outcome=won shard=0"]; !there {
			t.Errorf("%s does not show elections that it has not won", id)
		}
	}
	gone := c.others(leader)[0]
	c.stop(gone)
	c.eventually(func() error {
		got := gathered(t, registries[leader])
		if _, there := got["lockstep_clock_offset_seconds peer="+gone]; there || got["lockstep_peer_connected peer="+gone] != 0 {
			return fmt.Errorf("a node that is gone is shown as if it were there")
		}
		return nil
	})
}

// gathered returns gauges and counters by their names and labels.
func gathered(t *testing.T, reg *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]float64{}
	for _, f := range families {
		for _, m := range f.Metric {
			name := f.GetName()
			for _, l := range m.Label {
				name += " " + l.GetName() + "=" + l.GetValue()
			}
			out[name] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	return out
}

// However many shards a node has, their logs together keep no more in memory than it was told.
func TestLogCacheIsTheNodes(t *testing.T) {
	const limit = 200 << 10
	c := newCluster(t, 1, func(o *Options) { o.Shards, o.LogCacheBytes = 4, limit })
	value := strings.Repeat("v", 10_000)
	for i := range 200 {
		c.want("n1", fmt.Sprintf("SET {%s}%d %s", c.keyOf(0), i, value), "+OK\r\n")
		if held := c.nodes["n1"].LogCacheHeld(); held > limit {
			t.Fatalf("the logs keep %d bytes, limit %d", held, limit)
		}
	}
	if held := c.nodes["n1"].LogCacheHeld(); held < limit/2 {
		t.Errorf("the logs keep %d bytes of %d", held, limit)
	}
}
