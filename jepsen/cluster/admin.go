package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/lockstepkv/lockstep/client"
)

// adminPatience bounds each question to a node.
const adminPatience = 2 * time.Second

// newAdmin returns a client that asks one node about itself.
func newAdmin(addr string) *client.HTTP {
	c, err := client.NewHTTP([]string{addr}, client.Options{Password: Password, Timeout: adminPatience})
	if err != nil {
		panic(err) // addresses are made here
	}
	return c
}

// ask sends one request, once. Only status 200 is a success.
func (n *Node) ask(ctx context.Context, method, path, body string) ([]byte, error) {
	answer, err := n.admin.Exchange(ctx, client.Request{Method: method, Path: path, Body: []byte(body)})
	if err != nil {
		return nil, err
	}
	if answer.Status != http.StatusOK {
		return nil, fmt.Errorf("%s %s: %d %s", method, path, answer.Status, answer.Body)
	}
	return answer.Body, nil
}

func (n *Node) askJSON(ctx context.Context, path string, out any) error {
	answer, err := n.ask(ctx, "GET", path, "")
	if err != nil {
		return err
	}
	return json.Unmarshal(answer, out)
}

// Ready asks whether every shard of the node serves.
func (n *Node) Ready(ctx context.Context) error {
	_, err := n.ask(ctx, "GET", "/readyz", "")
	return err
}

// View is the cluster as one node sees it.
type View struct {
	Self  string `json:"self"`
	Nodes []struct {
		ID    string `json:"id"`
		State string `json:"state"`
	} `json:"nodes"`
	Shards []struct {
		ID      int    `json:"id"`
		Leader  string `json:"leader"`
		Applied uint64 `json:"applied_index"`
		Term    uint64 `json:"term"`
	} `json:"shards"`
}

// View asks the node what it knows of the cluster.
func (n *Node) View(ctx context.Context) (View, error) {
	var v View
	err := n.askJSON(ctx, "/v1/cluster", &v)
	return v, err
}

// Transfer asks the node to see to it that another one leads a shard.
func (n *Node) Transfer(ctx context.Context, shard int, to string) error {
	_, err := n.ask(ctx, "POST", fmt.Sprintf("/v1/shards/%d/leader", shard), fmt.Sprintf(`{"node":%q}`, to))
	return err
}

// Digest is a hash of one replica.
type Digest struct {
	Index uint64 `json:"index"`
	Keys  int    `json:"keys"`
	Sum   string `json:"sum"`
	State string `json:"state"`
}

// String is the digest in words.
func (d Digest) String() string {
	return fmt.Sprintf("%d keys with sum %s and state %s at index %d", d.Keys, d.Sum, d.State, d.Index)
}

// Digest asks the node for the digest of its replica of a shard.
func (n *Node) Digest(ctx context.Context, shard int) (Digest, error) {
	var d Digest
	err := n.askJSON(ctx, fmt.Sprintf("/v1/shards/%d/digest", shard), &d)
	return d, err
}

// Metric sums a metric of the node over its labels.
func (n *Node) Metric(ctx context.Context, name string) (float64, error) {
	text, err := n.ask(ctx, "GET", "/metrics", "")
	if err != nil {
		return 0, err
	}
	return sumMetric(string(text), name)
}

// sumMetric reads Prometheus' text format.
func sumMetric(text, name string) (float64, error) {
	sum, found := 0.0, false
	for line := range strings.Lines(text) {
		rest, ok := strings.CutPrefix(line, name)
		if !ok || rest == "" || rest[0] != ' ' && rest[0] != '{' {
			continue
		}
		var v float64
		if _, err := fmt.Sscan(rest[strings.LastIndexByte(strings.TrimSpace(rest), ' ')+1:], &v); err != nil {
			return 0, fmt.Errorf("metric %s: %w", name, err)
		}
		sum, found = sum+v, true
	}
	if !found {
		return 0, fmt.Errorf("no metric %s", name)
	}
	return sum, nil
}
