package transport

import (
	"context"
	"maps"
	"net"
	"testing"
	"time"
)

// TestPeersChange: a node learns of another one, and of one that is reached elsewhere.
func TestPeersChange(t *testing.T) {
	c := newCluster(t, 3)
	elsewhere, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	elsewhere.Close() // nobody is there
	wrong := map[string]string{"n1": c.peers["n1"], "n2": elsewhere.Addr().String()}
	n1 := c.start("n1", func(o *Options) { o.Peers = wrong })
	for _, id := range []string{"n2", "n3"} {
		n := c.start(id)
		n.Handle(1, func(_ context.Context, from string, _ []byte) ([]byte, error) { return []byte(from), nil })
	}
	for _, to := range []string{"n2", "n3"} {
		if _, err := n1.Call(t.Context(), to, 1, nil); err == nil {
			t.Errorf("%s is reached", to)
		}
	}
	n1.SetPeers(maps.Clone(c.peers))
	for _, to := range []string{"n2", "n3"} {
		c.connected(n1, to)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		reply, err := n1.Call(ctx, to, 1, nil)
		cancel()
		if err != nil || string(reply) != "n1" {
			t.Errorf("%s: %q, %v", to, reply, err)
		}
	}
	n1.SetPeers(map[string]string{"n1": c.peers["n1"]}) // who is missing stays known
	if _, err := n1.Call(t.Context(), "n3", 1, nil); err != nil {
		t.Error(err)
	}
	if n1.all()["n1"] != nil {
		t.Error("a node is its own peer")
	}
}
