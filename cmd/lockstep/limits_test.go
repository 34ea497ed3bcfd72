package main

import (
	"log/slog"
	"net"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/lockstepkv/lockstep/api/clientmem"
	"github.com/lockstepkv/lockstep/api/rooms"
	"github.com/lockstepkv/lockstep/api/router"
	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/shard"
)

// alone is a server of one node, whose Redis commands do runs.
func alone(t *testing.T, args ...string) (s *server, do func(words ...string) string) {
	t.Helper()
	dir := t.TempDir()
	cfg, err := load(t, append([]string{"--data-dir", dir}, args...)...)
	if err != nil {
		t.Fatal(err)
	}
	s = &server{cfg: cfg, logger: slog.New(slog.DiscardHandler), registry: prometheus.NewRegistry(), clients: clientmem.New(cfg.Requests.ClientMemory.Bytes), openFiles: 1 << 20}
	if s.secrets, err = openSecrets(cfg.Security, cfg.CertificateNames(), s.logger); err != nil {
		t.Fatal(err)
	}
	if s.peerListener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	s.node = newNode(self(cfg), viewOf(cfg.Node.Members, cfg.Node.Shards))
	s.node.limits = s.limits
	r, err := router.New(s.node, rooms.Table(), s.routerConfig())
	if err != nil {
		t.Fatal(err)
	}
	s.router.Store(r)
	n, err := shard.Open(t.Context(), s.shardOptions())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close() })
	s.node.opened(n)
	sess := r.NewSession("127.0.0.1:1", router.KindRESP)
	t.Cleanup(sess.Close)
	return s, func(words ...string) string {
		var cmd command.Args
		for _, w := range words {
			cmd = append(cmd, []byte(w))
		}
		v := r.Do(t.Context(), sess, cmd)
		if len(v.Elems) > 0 {
			return string(v.Elems[len(v.Elems)-1].Str)
		}
		return string(v.Str)
	}
}

// What the cluster is told of limits is what CONFIG SET has made of them.
func TestLimitsToldAreInForce(t *testing.T) {
	s, do := alone(t)
	if got := s.node.Cluster().Nodes[0].Limits; got["maxclients"] != "10000" || got["maxmemory-clients"] != "1gb" || got["once-memory"] == "" {
		t.Errorf("at the start: %v", got)
	}
	if got := do("CONFIG", "SET", "maxclients", "50", "maxmemory-clients", "500mb"); got != "OK" {
		t.Fatal(got)
	}
	if got := s.node.Cluster().Nodes[0].Limits; got["maxclients"] != "50" || got["maxmemory-clients"] != "500mb" {
		t.Errorf("after CONFIG SET: %v", got)
	}
}

// A limit that another node was told does not keep this one from CONFIG SET of anything.
func TestPercentageThatAnotherNodeMakesImpossible(t *testing.T) {
	s, do := alone(t, "--maxmemory", "10gb", "--maxmemory-clients", "5%")
	for max, want := range map[int64]string{0: "536870912", 100 << 20: "134217728", 20 << 30: "5%"} {
		if got := do("CONFIG", "SET", "maxmemory", "10gb"); got != "OK" {
			t.Fatal(got)
		}
		n := s.node.get()
		m := n.Memory()
		m.MaxBytes = max
		n.SetMemory(m, shard.ParamMaxBytes)
		s.adoptMemory(n.Memory)
		if got := do("CONFIG", "SET", "timeout", "9", "maxmemory-policy", "allkeys-lfu"); got != "OK" {
			t.Errorf("maxmemory %d elsewhere: %s", max, got)
		}
		if got := do("CONFIG", "GET", "maxmemory-clients"); got != want {
			t.Errorf("maxmemory %d elsewhere: a limit of %s, want %s", max, got, want)
		}
	}
}
