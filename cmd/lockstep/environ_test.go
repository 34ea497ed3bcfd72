package main

import (
	"slices"
	"strings"
	"testing"
)

func TestCrossShardOverHTTPOnly(t *testing.T) {
	for _, c := range []struct {
		args string
		want bool
	}{
		{"--shards 2 --allow-cross-shard", true},
		{"--shards 2 --allow-cross-shard --redirect forward", false},
		{"--shards 2", false},
		{"--allow-cross-shard", false}, // one shard: nothing is crossed
	} {
		cfg, err := load(t, strings.Fields(c.args), nil, "")
		if err != nil || cfg.Requests.crossShardOverHTTPOnly(cfg.Node.Shards) != c.want {
			t.Errorf("%s: not %t (%v)", c.args, c.want, err)
		}
	}
}

func TestUnknownVariables(t *testing.T) {
	got := unknownVariables(newSettings().flags, []string{
		"LOCKSTEP_SHARDS=2", "LOCKSTEP_DATADIR=x", "LOCKSTEP_MAX_MEMORY=1gb", "PATH=/bin", "LOCKSTEPX=1",
		"LOCKSTEP_CONFIG=f", "LOCKSTEP_ENDPOINT=e", "LOCKSTEP_PASSWORD=p", "LOCKSTEP_LOCK=l", "LOCKSTEP_FENCE=1",
		"LOCKSTEP_CLUSTER_DIR=d", "LOCKSTEP_BASE_PORT_OFFSET=1", "LOCKSTEP_BIN=b", "LOCKSTEP_HARNESS_CLOCK=c",
		"LOCKSTEP_TEST_LOG=1", "LOCKSTEP_FAILPOINTS=f", "LOCKSTEP_SERVICE_HOST=h",
		"LOCKSTEP_PORT=tcp://h:1", "LOCKSTEP_PORT_7001_TCP=x", "LOCKSTEP_=1", "LOCKSTEP_BINARY=b",
	})
	want := []string{"LOCKSTEP_", "LOCKSTEP_BINARY", "LOCKSTEP_DATADIR", "LOCKSTEP_MAX_MEMORY"}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
