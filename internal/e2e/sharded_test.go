package e2e

import (
	"context"
	"fmt"
	"net"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// With several shards clients of Redis Cluster work unchanged.
func TestSharded(t *testing.T) {
	c := StartCluster(t, Options{Flags: append([]string{"--shards", "4"}, steady...)})
	t.Run("leaders are spread", func(t *testing.T) { leadersAreSpread(t, c) })
	t.Run("moved", func(t *testing.T) { movedIsRight(t, c) })
	t.Run("redis-cli -c", func(t *testing.T) { redisCLICluster(t, c) })
	t.Run("ClusterClient", func(t *testing.T) { clusterClient(t, c) })
	t.Run("HTTP forwards", func(t *testing.T) { httpForwards(t, c) })
	t.Run("a node dies", func(t *testing.T) { clusterClientSurvives(t, c) })
}

func leadersAreSpread(t *testing.T, c *Cluster) {
	began := time.Now()
	Eventually(t, patience, func() error {
		leaders, err := c.Nodes[0].Leaders()
		if err != nil {
			return err
		}
		load := map[string]int{}
		for _, id := range leaders {
			load[id]++
		}
		for _, n := range c.Nodes {
			if load[n.ID] < 1 || load[n.ID] > 2 {
				return fmt.Errorf("leaders are not spread: %v", leaders)
			}
		}
		t.Logf("4 shards led by %v, %v after the cluster was whole", leaders, time.Since(began).Round(time.Millisecond))
		return nil
	})
	c.WaitWhole()
}

// movedIsRight sends every key to every node: a node either serves it or names
// the slot that CLUSTER KEYSLOT computes and a node that serves it.
func movedIsRight(t *testing.T, c *Cluster) {
	wires := map[string]*Wire{}
	for _, n := range c.Nodes {
		wires[n.RESP] = n.Dial()
	}
	served, moved := 0, 0
	for i := range 200 {
		key := "moved:" + strconv.Itoa(i)
		for _, n := range c.Nodes {
			w := wires[n.RESP]
			reply := w.Do("SET", key, n.ID)
			if reply == "+OK" {
				served++
				continue
			}
			moved++
			slot := strings.TrimPrefix(w.Do("CLUSTER", "KEYSLOT", key), ":")
			word, target, ok := strings.Cut(strings.TrimPrefix(reply, "-MOVED "), " ")
			if !strings.HasPrefix(reply, "-MOVED ") || !ok || word != slot || wires[target] == nil {
				t.Fatalf("SET %s at %s: %q; its slot is %s", key, n.ID, reply, slot)
			}
			if answer := wires[target].Do("SET", key, n.ID); answer != "+OK" {
				t.Fatalf("SET %s at %s: %q, and there %q", key, n.ID, reply, answer)
			}
		}
	}
	if served != 200 || moved != 400 {
		t.Errorf("200 keys at 3 nodes: %d served, %d moved; want each served by one node", served, moved)
	}
	if got := wires[c.Nodes[0].RESP].Do("MSET", "a", "1", "b", "2"); got != "-CROSSSLOT Keys in request don't hash to the same slot" {
		t.Errorf("MSET over two slots: %q", got)
	}
}

func redisCLICluster(t *testing.T, c *Cluster) {
	_, port, _ := net.SplitHostPort(c.Nodes[0].RESP)
	var script strings.Builder
	for i := range 60 {
		fmt.Fprintf(&script, "SET cli:%d v%d\nGET cli:%d\n", i, i, i)
	}
	cmd := exec.Command("redis-cli", "-c", "-p", port)
	cmd.Stdin = strings.NewReader(script.String())
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	lines := slices.DeleteFunc(strings.Split(strings.TrimSpace(string(out)), "\n"), func(line string) bool {
		return strings.Contains(line, "Redirected to slot")
	})
	for i := range 60 {
		if len(lines) != 120 || lines[2*i] != "OK" || lines[2*i+1] != fmt.Sprintf("v%d", i) {
			t.Fatalf("redis-cli -c printed\n%s", out)
		}
	}
	out, err = exec.Command("redis-cli", "-c", "-p", port, "MGET", "{cli}1", "cli:2").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "CROSSSLOT") {
		t.Errorf("redis-cli -c MGET over two slots: %v %s", err, out)
	}
}

func newClusterClient(t *testing.T, c *Cluster) *redis.ClusterClient {
	var addrs []string
	for _, n := range c.Nodes {
		addrs = append(addrs, n.RESP)
	}
	// go-redis asks a dead node until it loads the slots anew, every minute unless
	// told otherwise.
	r := redis.NewClusterClient(&redis.ClusterOptions{Addrs: addrs, ReadTimeout: clientTimeout, ClusterStateReloadInterval: time.Second})
	t.Cleanup(func() { r.Close() })
	return r
}

func clusterClient(t *testing.T, c *Cluster) {
	ctx := context.Background()
	r := newClusterClient(t, c)
	for i := range 300 {
		key := fmt.Sprintf("cc:%d", i)
		if err := r.Set(ctx, key, i, time.Hour).Err(); err != nil {
			t.Fatalf("SET %s: %v", key, err)
		}
		if got, err := r.Get(ctx, key).Int(); err != nil || got != i {
			t.Fatalf("GET %s: %d, %v", key, got, err)
		}
	}
	if err := r.MSet(ctx, "{tag}a", 1, "{tag}b", 2).Err(); err != nil {
		t.Errorf("MSET within a hash tag: %v", err)
	}
	if got, err := r.MGet(ctx, "{tag}a", "{tag}b").Result(); err != nil || fmt.Sprint(got) != "[1 2]" {
		t.Errorf("MGET within a hash tag: %v, %v", got, err)
	}
	pipe := r.Pipeline()
	for i := range 1000 {
		pipe.Incr(ctx, fmt.Sprintf("pipe:%d", i%100))
	}
	replies, err := pipe.Exec(ctx)
	if err != nil {
		t.Fatalf("pipeline over all shards: %v", err)
	}
	for i, reply := range replies {
		if got := reply.(*redis.IntCmd).Val(); got != int64(i/100+1) {
			t.Fatalf("pipelined INCR %d answered %d", i, got)
		}
	}
	tx, err := r.TxPipelined(ctx, func(p redis.Pipeliner) error {
		p.Set(ctx, "{tx}a", "1", 0)
		p.Incr(ctx, "{tx}a")
		return nil
	})
	if err != nil || tx[1].(*redis.IntCmd).Val() != 2 {
		t.Errorf("transaction within a hash tag: %v", err)
	}
	err = r.Watch(ctx, func(tx *redis.Tx) error {
		_, err := tx.TxPipelined(ctx, func(p redis.Pipeliner) error { p.Incr(ctx, "{tx}a"); return nil })
		return err
	}, "{tx}a")
	if got, _ := r.Get(ctx, "{tx}a").Int(); err != nil || got != 3 {
		t.Errorf("WATCH: %d, %v", got, err)
	}
	if err := r.ForEachMaster(ctx, func(ctx context.Context, m *redis.Client) error { return m.Ping(ctx).Err() }); err != nil {
		t.Errorf("ForEachMaster: %v", err)
	}
}

func httpForwards(t *testing.T, c *Cluster) {
	for i := range 30 {
		key := fmt.Sprintf("h:%d", i)
		if err := (HTTPClient{c.Nodes[i%3]}).Set(key, "v"); err != nil {
			t.Fatal(err)
		}
		status, body, err := c.Nodes[(i+1)%3].Do("GET", "/v1/keys/"+key, "")
		if err != nil || status != 200 || !strings.Contains(string(body), `"value":"v"`) {
			t.Fatalf("GET %s: %d %s %v", key, status, body, err)
		}
	}
}

// A cluster client with its usual retries goes on when a node is killed.
func clusterClientSurvives(t *testing.T, c *Cluster) {
	ctx := context.Background()
	r := newClusterClient(t, c)
	for i := range 100 {
		if err := r.Set(ctx, fmt.Sprintf("s:%d", i), i, 0).Err(); err != nil {
			t.Fatal(err)
		}
	}
	c.Nodes[1].Kill()
	killed := time.Now()
	for i := range 100 {
		key := fmt.Sprintf("s:%d", i)
		Eventually(t, patience, func() error {
			got, err := r.Get(ctx, key).Int()
			if err == nil && got != i {
				t.Errorf("%s is %d", key, got)
			}
			return err
		})
	}
	t.Logf("ClusterClient reads every key again %v after a node was killed", time.Since(killed).Round(time.Millisecond))
	c.Nodes[1].Start()
	c.WaitWhole()
}
