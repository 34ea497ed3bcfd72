package router_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/lockstepkv/lockstep/api/rooms"
	"github.com/lockstepkv/lockstep/api/router"
	"github.com/lockstepkv/lockstep/api/router/routertest"
)

// TestClusterProtocol: what a client asks to find out what it speaks to agrees.
func TestClusterProtocol(t *testing.T) {
	one := routertest.Options{}
	for _, c := range []struct {
		name    string
		nodes   routertest.Options
		cfg     router.Config
		cluster bool
	}{
		{"one shard", one, router.Config{}, false},
		{"one shard, on", one, router.Config{Cluster: router.ClusterOn}, true},
		{"one shard, off", one, router.Config{Cluster: router.ClusterOff}, false},
		{"several shards", halves(), router.Config{}, true},
		{"several shards, forward", halves(), router.Config{Redirect: router.RedirectForward}, true},
		{"several shards, on", halves(), router.Config{Cluster: router.ClusterOn}, true},
		{"several shards, off", halves(), router.Config{Cluster: router.ClusterOff, Redirect: router.RedirectForward}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, _, s := newRouter(t, c.nodes, c.cfg)
			ask := func(line string) string { return show(r.Do(context.Background(), s, cmd(line))) }
			mode, enabled, setting := "standalone", "cluster_enabled:0", "[cluster-enabled no]"
			other := "-ERR DB index is out of range"
			if c.cluster {
				mode, enabled, setting = "cluster", "cluster_enabled:1", "[cluster-enabled yes]"
				other = "-ERR SELECT is not allowed in cluster mode"
			}
			for line, want := range map[string]string{
				"HELLO 3": " mode " + mode + " ", "INFO server": "redis_mode:" + mode + "\r\n", "INFO cluster": enabled,
				"CONFIG GET cluster-enabled": setting, "SELECT 1": other,
			} {
				if got := ask(line); !strings.Contains(got, want) {
					t.Errorf("%s: %s, want %s", line, got, want)
				}
			}
			for _, sub := range []string{"SLOTS", "SHARDS", "NODES", "INFO", "MYID", "HELP", "KEYSLOT a", "COUNTKEYSINSLOT 1", "GETKEYSINSLOT 1 1"} {
				refused := ask("CLUSTER "+sub) == "-ERR This instance has cluster support disabled"
				if refused == c.cluster {
					t.Errorf("CLUSTER %s: refused %v", sub, refused)
				}
			}
			if got := ask("READONLY"); got != "+OK" {
				t.Errorf("READONLY: %s", got)
			}
		})
	}
	table := rooms.Table()
	if _, err := router.New(routertest.New(table, halves()), table, router.Config{Cluster: router.ClusterOff}); !errors.Is(err, router.ErrBadCluster) {
		t.Errorf("several shards that redirect, shown as a plain Redis: %v", err)
	}
	if _, err := router.New(routertest.New(table, one), table, router.Config{Cluster: "maybe"}); !errors.Is(err, router.ErrBadCluster) {
		t.Errorf("a value that there is not: %v", err)
	}
}

// TestUnshardedWithClients: a plain client runs commands on any keys; a cluster
// client needs the cluster protocol.
func TestUnshardedWithClients(t *testing.T) {
	ctx := context.Background()
	node := routertest.New(rooms.Table(), routertest.Options{})
	plain := redis.NewClient(&redis.Options{Addr: serve(t, node, router.Config{}), ReadTimeout: time.Minute})
	t.Cleanup(func() { _ = plain.Close() })
	if err := plain.MSet(ctx, "a", 1, "b", 2, "c", 3).Err(); err != nil {
		t.Error(err)
	}
	if got, err := plain.MGet(ctx, "a", "b", "c").Result(); err != nil || fmt.Sprint(got) != "[1 2 3]" {
		t.Error(got, err)
	}
	if info, err := plain.ClientInfo(ctx).Result(); err != nil || info.TotalMemory == 0 {
		t.Error(info, err)
	}
	addr := serve(t, node, router.Config{Cluster: router.ClusterOn})
	node.SetRESP("n1", addr)
	cluster := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{addr}, ReadTimeout: time.Minute})
	t.Cleanup(func() { _ = cluster.Close() })
	for _, key := range []string{"a", "b", "c", "d"} {
		if err := cluster.Set(ctx, key, key, 0).Err(); err != nil {
			t.Error(err)
		}
		if got, err := cluster.Get(ctx, key).Result(); err != nil || got != key {
			t.Errorf("%s: %s, %v", key, got, err)
		}
	}
}

// TestPlainClientOfSeveralShards: it needs a node that forwards and shows no cluster. Its
// commands keep to one slot.
func TestPlainClientOfSeveralShards(t *testing.T) {
	ctx := context.Background()
	node := routertest.New(rooms.Table(), halves())
	plain := redis.NewClient(&redis.Options{Addr: serve(t, node, router.Config{Cluster: router.ClusterOff, Redirect: router.RedirectForward}), ReadTimeout: time.Minute})
	t.Cleanup(func() { _ = plain.Close() })
	for _, key := range []string{"a", "b", "c", "d", "e", "f"} {
		if err := plain.Set(ctx, key, key, 0).Err(); err != nil {
			t.Error(err)
		}
		if got, err := plain.Get(ctx, key).Result(); err != nil || got != key {
			t.Errorf("%s: %s, %v", key, got, err)
		}
	}
	if n, err := plain.DBSize(ctx).Result(); err != nil || n != 6 {
		t.Error(n, err)
	}
	if err := plain.MSet(ctx, "a", 1, "b", 2).Err(); err == nil || !strings.HasPrefix(err.Error(), "CROSSSLOT") {
		t.Errorf("MSET over several slots: %v", err)
	}
	if err := plain.MSet(ctx, "{t}a", 1, "{t}b", 2).Err(); err != nil {
		t.Error(err)
	}
}

// A node that starts is neither online nor failed.
func TestStatesOfNodesInCluster(t *testing.T) {
	r, node, s := newRouter(t, halves(), router.Config{})
	for state, want := range map[string][2]string{
		router.StateUp:       {"health online", " master - 0 0 0 connected"},
		router.StateStarting: {"health loading", " master - 0 0 0 connected"},
		router.StateUnknown:  {"health loading", " master - 0 0 0 disconnected"},
		router.StateDown:     {"health fail", " master,fail - 0 0 0 disconnected"},
	} {
		node.SetState("n3", state)
		shards := show(r.Do(context.Background(), s, cmd("CLUSTER SHARDS")))
		_, third, _ := strings.Cut(shards, "id n3 ")
		if !strings.Contains(third[:strings.Index(third, "health")+20], want[0]) {
			t.Errorf("%s: %s", state, third)
		}
		if got := show(r.Do(context.Background(), s, cmd("CLUSTER NODES"))); !strings.Contains(got, want[1]) {
			t.Errorf("%s: %s", state, got)
		}
	}
}
