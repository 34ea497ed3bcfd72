package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"testing"
)

// While a node starts, its clients hear LOADING, probes are answered, and it says whom it
// waits for. A majority that is lost later is another matter.
func TestLoadingWhileANodeStarts(t *testing.T) {
	c := NewCluster(t, Options{})
	n, others := c.Nodes[0], c.Nodes[1:]
	n.Start()
	n.awaitLoading(t, "a node without data needs the answer of all others first; not connected: n2, n3")
	n.awaitStates(t, "starting unknown unknown") // nobody knows yet what is out there
	Eventually(t, patience, func() error { return n.says("waits until it has asked all others", "missing=n2,n3") })
	c.StartAll()
	w := n.Dial()
	for _, command := range [][]string{{"PING"}, {"SET", "k", "v"}, {"GET", "k"}} {
		if got := w.Do(command...); strings.HasPrefix(got, "-") {
			t.Errorf("%s once ready: %q", command[0], got)
		}
	}
	for _, node := range c.Nodes {
		node.awaitStates(t, "up up up")
	}
	for _, other := range others {
		other.Kill()
	}
	n.awaitStates(t, "up down down")
	Eventually(t, patience, func() error {
		if got := n.Dial().Do("GET", "k"); !strings.HasPrefix(got, "-CLUSTERDOWN") {
			return fmt.Errorf("without a majority: %q", got)
		}
		return nil
	})
	if got := n.Dial().Do("PING"); got != "+PONG" {
		t.Errorf("PING without a majority: %q", got)
	}
	n.Kill()
	n.Start() // its data is there, a majority is not
	n.awaitLoading(t, "shard 0 has no leader that serves; not connected: n2, n3")
	n.awaitStates(t, "starting down down")
	Eventually(t, patience, func() error { return n.says("waits for a majority of the nodes", "missing=n2,n3") })
	c.StartAll()
	if got := n.Dial().Do("GET", "k"); got != "v" {
		t.Errorf("GET once ready again: %q", got)
	}
	if err := n.says("waits for a majority of the nodes", "missing=n2,n3"); err != nil {
		t.Error(err) // still once
	}
}

// A node that is told to stop while it starts, which may take for ever, stops as it does later.
func TestStopWhileStarting(t *testing.T) {
	c := NewCluster(t, Options{})
	n := c.Nodes[0]
	n.Start()
	n.awaitLoading(t, "a node without data needs the answer of all others first; not connected: n2, n3")
	n.Signal(syscall.SIGTERM)
	if code := n.Wait(stopPatience); code != 0 {
		t.Errorf("exit code %d", code)
	}
	c.StartAll()
}

// awaitLoading waits until a node tells why it does not serve, and looks at everything else
// that it tells then.
func (n *Node) awaitLoading(t *testing.T, why string) {
	t.Helper()
	Eventually(t, patience, func() error {
		status, body, err := n.Do("GET", "/readyz", "")
		if err != nil || status != http.StatusServiceUnavailable || !strings.Contains(string(body), why) {
			return fmt.Errorf("/readyz: %d %s %w", status, body, err)
		}
		return nil
	})
	w := n.Dial()
	for _, e := range []struct{ command, want string }{
		{"PING", "-LOADING "}, {"GET k", "-LOADING "}, {"SET k v", "-LOADING "}, {"LOCK l 1000", "-LOADING "}, {"CLIENT GETNAME", "$-1"},
	} {
		if got := w.Do(strings.Fields(e.command)...); !strings.HasPrefix(got, e.want) {
			t.Errorf("%s while the node starts: %q", e.command, got)
		}
	}
	for path, want := range map[string]int{"/healthz": 200, "/metrics": 200, "/v1/cluster": 200, "/openapi.json": 200, "/v1/keys/k": 503, "/v1/shards/0/digest": 503, "/v1/locks": 503} {
		status, body, err := n.Do("GET", path, "")
		if path == "/v1/shards/0/digest" && status == 200 {
			continue // the shard is open
		}
		if err != nil || status != want {
			t.Errorf("%s while the node starts: %d %s %v", path, status, body, err)
		}
	}
}

// awaitStates waits until a node calls the nodes of the cluster so.
func (n *Node) awaitStates(t *testing.T, want string) {
	t.Helper()
	Eventually(t, patience, func() error {
		var cluster struct {
			Nodes []struct{ State string }
		}
		_, body, err := n.Do("GET", "/v1/cluster", "")
		if err == nil {
			err = json.Unmarshal(body, &cluster)
		}
		var states []string
		for _, node := range cluster.Nodes {
			states = append(states, node.State)
		}
		if got := strings.Join(states, " "); err != nil || got != want {
			return fmt.Errorf("%s calls the nodes %q, want %q: %w", n.ID, got, want, err)
		}
		return nil
	})
}

// says looks for one line of the log since the last start, and that there is no second one.
func (n *Node) says(sentence, detail string) error {
	count := 0
	for line := range strings.Lines(n.NewLog()) {
		if strings.Contains(line, sentence) {
			count++
			if !strings.Contains(line, detail) {
				return fmt.Errorf("the log says: %s", line)
			}
		}
	}
	if count != 1 {
		return fmt.Errorf("the log says %q %d times", sentence, count)
	}
	return nil
}
