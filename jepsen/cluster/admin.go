package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// adminPatience bounds each question to a node.
const adminPatience = 2 * time.Second

// admin asks a node about itself over HTTP.
type admin struct {
	base   string
	client *http.Client
}

func newAdmin(addr string) *admin {
	return &admin{base: "http://" + addr, client: &http.Client{Timeout: adminPatience, Transport: &http.Transport{MaxIdleConnsPerHost: 2}}}
}

func (a *admin) close() { a.client.CloseIdleConnections() }

func (a *admin) call(ctx context.Context, method, path, body string, out any) error {
	req, err := http.NewRequestWithContext(ctx, method, a.base+path, strings.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+Password)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := a.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s: %d %s", method, path, resp.StatusCode, answer)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(answer, out)
}

// Ready asks whether every shard of the node serves.
func (n *Node) Ready(ctx context.Context) error {
	return n.admin.call(ctx, "GET", "/readyz", "", nil)
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
	err := n.admin.call(ctx, "GET", "/v1/cluster", "", &v)
	return v, err
}

// Transfer asks the node to see to it that another one leads a shard.
func (n *Node) Transfer(ctx context.Context, shard int, to string) error {
	return n.admin.call(ctx, "POST", fmt.Sprintf("/v1/shards/%d/leader", shard), fmt.Sprintf(`{"node":%q}`, to), nil)
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
	err := n.admin.call(ctx, "GET", fmt.Sprintf("/v1/shards/%d/digest", shard), "", &d)
	return d, err
}

// Metric sums a metric of the node over its labels.
func (n *Node) Metric(ctx context.Context, name string) (float64, error) {
	req, err := http.NewRequestWithContext(ctx, "GET", n.admin.base+"/metrics", nil)
	if err != nil {
		return 0, err
	}
	req.Header.Set("Authorization", "Bearer "+Password)
	resp, err := n.admin.client.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
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
