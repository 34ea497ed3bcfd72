package e2e

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/lockstepkv/lockstep/client"
	"github.com/lockstepkv/lockstep/internal/procs"
)

// patience is how long anything may take that is to happen, on a machine that is busy with other things. It is
// waited for in vain only when a test fails.
const patience = 90 * time.Second

// requestTimeout is what the nodes have for a request, unless a test says otherwise: on a machine that is busy with
// other things an election, or many copies of a large value, may take longer than the 5 s that are usual. It is less
// than patience.
const requestTimeout = 30 * time.Second

// steady are flags with which a leader stays though the machine gives it little: for tests that are not about elections
// and take much of the processor.
var steady = []string{"--heartbeat-timeout", "2s", "--election-timeout", "2s"}

// Cluster is a set of nodes, each with its own process, ports and directory.
type Cluster struct {
	t     testing.TB
	dir   string
	opt   Options
	Nodes []*Node
}

// Options of a cluster.
type Options struct {
	Nodes    int      // default 3
	Flags    []string // for `lockstep serve` of every node
	NodeArgs func(id string) []string
	Env      []string // of every node, besides that of the test
	Password string
	TLS      *tls.Config // of this test as a client
	Ulimit   string      // for /bin/sh before a node starts, such as "ulimit -n 256"
}

// Node is one node of a cluster. Its process comes and goes.
type Node struct {
	procs.Node
	t       testing.TB
	LogFile string
	args    []string
	ulimit  string
	client  *client.HTTP
	bearer  string // may change

	mu   sync.Mutex
	proc *procs.Process // guarded by mu
	from int            // guarded by mu; where the log of its last start begins
}

// NewCluster prepares a cluster and starts nothing.
func NewCluster(t testing.TB, opt Options) *Cluster {
	t.Helper()
	if opt.Nodes == 0 {
		opt.Nodes = 3
	}
	c := &Cluster{t: t, dir: t.TempDir(), opt: opt}
	ports := freePorts(t, 3*opt.Nodes)
	var members []string
	for i := range opt.Nodes {
		n := &Node{t: t, bearer: opt.Password, ulimit: opt.Ulimit}
		n.ID, n.HTTP, n.RESP, n.Peer = fmt.Sprintf("n%d", i+1), ports[3*i], ports[3*i+1], ports[3*i+2]
		n.DataDir = filepath.Join(c.dir, n.ID)
		n.LogFile = filepath.Join(c.dir, n.ID+".log")
		scheme := "http://"
		if opt.TLS != nil {
			scheme = "https://"
		}
		var err error
		if n.client, err = client.NewHTTP([]string{scheme + n.HTTP}, client.Options{TLS: opt.TLS, Timeout: patience}); err != nil {
			t.Fatal(err)
		}
		members = append(members, n.Member())
		c.Nodes = append(c.Nodes, n)
	}
	secret := filepath.Join(c.dir, "peer-secret")
	if err := os.WriteFile(secret, bytes.Repeat([]byte("s"), 32), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, n := range c.Nodes {
		n.args = append(append(n.ServeArgs(), "--request-timeout", requestTimeout.String()), opt.Flags...)
		if opt.Nodes > 1 {
			n.args = append(n.args, "--initial-cluster", strings.Join(members, ","))
		}
		if opt.Password != "" {
			n.args = append(n.args, "--requirepass", opt.Password, "--peer-secret-file", secret)
		}
		if opt.NodeArgs != nil {
			n.args = append(n.args, opt.NodeArgs(n.ID)...)
		}
	}
	t.Cleanup(c.cleanup)
	return c
}

// StartCluster starts a cluster and waits until it is whole.
func StartCluster(t testing.TB, opt Options) *Cluster {
	t.Helper()
	c := NewCluster(t, opt)
	c.StartAll()
	return c
}

// cleanup ends the nodes; after a failure it shows their last words.
func (c *Cluster) cleanup() {
	for _, n := range c.Nodes {
		n.client.Close()
		if p := n.process(); p != nil {
			_ = p.Kill() // the test is over
		}
		if c.t.Failed() {
			c.t.Logf("--- the end of the log of %s:\n%s", n.ID, procs.LastLines(n.LogFile, 40))
		}
	}
}

// StartAll starts the nodes that do not run and waits until all serve.
func (c *Cluster) StartAll() {
	c.t.Helper()
	for _, n := range c.Nodes {
		if !n.Running() {
			n.Start()
		}
	}
	c.WaitWhole()
}

// KillAll is kill -9 of every node, as close together as can be.
func (c *Cluster) KillAll() {
	for _, n := range c.Nodes {
		n.Signal(syscall.SIGKILL)
	}
	for _, n := range c.Nodes {
		n.Kill()
	}
}

// WaitWhole waits until every running node is ready and all of them name the same leaders.
func (c *Cluster) WaitWhole() {
	c.t.Helper()
	c.agreement()
}

// agreement is WaitWhole, and returns the leaders of the shards.
func (c *Cluster) agreement() (leaders map[int]string) {
	c.t.Helper()
	Eventually(c.t, patience, func() error {
		var seen []map[int]string
		for _, n := range c.Nodes {
			if !n.Running() {
				continue
			}
			if err := n.Ready(); err != nil {
				return err
			}
			named, err := n.Leaders()
			if err != nil {
				return err
			}
			seen = append(seen, named)
		}
		for _, named := range seen {
			if leaders = named; !maps.Equal(named, seen[0]) || slices.Contains(slices.Collect(maps.Values(named)), "") {
				return fmt.Errorf("no agreement on leaders: %v", seen)
			}
		}
		return nil
	})
	return leaders
}

// Node returns the node with an id.
func (c *Cluster) Node(id string) *Node {
	c.t.Helper()
	for _, n := range c.Nodes {
		if n.ID == id {
			return n
		}
	}
	c.t.Fatalf("no node %q", id)
	return nil
}

// Others returns the nodes besides n.
func (c *Cluster) Others(n *Node) []*Node {
	return slices.DeleteFunc(slices.Clone(c.Nodes), func(o *Node) bool { return o == n })
}

// Leader waits until the running nodes agree on the leader of a shard.
func (c *Cluster) Leader(shard int) *Node {
	c.t.Helper()
	id, ok := c.agreement()[shard]
	if !ok {
		c.t.Fatal("no node runs")
	}
	return c.Node(id)
}

// MoveLeader hands shard 0 over to a node and waits until everybody knows.
func (c *Cluster) MoveLeader(to *Node) {
	c.t.Helper()
	Eventually(c.t, patience, func() error {
		leader := c.Leader(0)
		if leader == to {
			return nil
		}
		status, body, err := leader.Do("POST", "/v1/shards/0/leader", fmt.Sprintf(`{"node":%q}`, to.ID))
		return fmt.Errorf("%s still leads: %d %s %v", leader.ID, status, body, err)
	})
}

// Start starts the node's process.
func (n *Node) Start(extra ...string) {
	n.t.Helper()
	binary, args := Binary(n.t), append(slices.Clone(n.args), extra...)
	if n.ulimit != "" {
		binary, args = "/bin/sh", append([]string{"-c", n.ulimit + ` && exec "$0" "$@"`, binary}, args...)
	}
	from := len(n.Log())
	p, err := startProcess(binary, n.LogFile, args)
	if err != nil {
		n.t.Fatal(err)
	}
	n.mu.Lock()
	n.proc, n.from = p, from
	n.mu.Unlock()
}

func (n *Node) process() *procs.Process {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.proc
}

// Running reports whether the process is there.
func (n *Node) Running() bool { p := n.process(); return p != nil && p.Running() }

func (n *Node) pid() int { return n.process().Pid() }

// Kill is kill -9, and returns when the process is gone.
func (n *Node) Kill() {
	n.t.Helper()
	if p := n.process(); p != nil {
		if err := p.Kill(); err != nil {
			n.t.Errorf("%s: %v", n.ID, err)
		}
	}
}

// Signal sends a signal to the process.
func (n *Node) Signal(s os.Signal) {
	n.t.Helper()
	if p := n.process(); p != nil {
		if err := p.Signal(s); err != nil {
			n.t.Errorf("%s: %v", n.ID, err)
		}
	}
}

// Wait returns the exit code of a process that is expected to end.
func (n *Node) Wait(patience time.Duration) int {
	n.t.Helper()
	code, err := n.process().Wait(patience)
	if err != nil {
		n.t.Fatalf("%s: %v", n.ID, err)
	}
	return code
}

// NewLog returns what the node wrote since its last start.
func (n *Node) NewLog() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.Log()[n.from:]
}

// Log returns what the node wrote so far.
func (n *Node) Log() string {
	text, err := os.ReadFile(n.LogFile)
	if err != nil {
		return ""
	}
	return string(text)
}

// Ready asks /readyz.
func (n *Node) Ready() error {
	if !n.Running() {
		return fmt.Errorf("%s has ended", n.ID)
	}
	// A node that is starting accepts and does not answer yet.
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	return procs.Ready(ctx, n.client)
}

// Leaders returns the leader of each shard as this node sees it.
func (n *Node) Leaders() (map[int]string, error) {
	status, body, err := n.Do("GET", "/v1/cluster", "")
	if err != nil || status != http.StatusOK {
		return nil, fmt.Errorf("%s: %d %s %w", n.ID, status, body, err)
	}
	var info struct {
		Shards []struct {
			ID     int    `json:"id"`
			Leader string `json:"leader"`
		} `json:"shards"`
	}
	if err := json.Unmarshal(body, &info); err != nil {
		return nil, err
	}
	leaders := make(map[int]string)
	for _, s := range info.Shards {
		leaders[s.ID] = s.Leader
	}
	return leaders, nil
}

// term is the term of a shard as this node knows it now: its metric is that of a moment ago.
func (n *Node) term(shard int) uint64 {
	n.t.Helper()
	_, body, err := n.Do("GET", "/v1/cluster", "")
	var info struct {
		Shards []struct {
			Term uint64 `json:"term"`
		} `json:"shards"`
	}
	if err == nil {
		err = json.Unmarshal(body, &info)
	}
	if err != nil || len(info.Shards) <= shard {
		n.t.Fatalf("%s: %s %v", n.ID, body, err)
	}
	return info.Shards[shard].Term
}

// Do sends an HTTP request with a JSON body.
func (n *Node) Do(method, path, body string) (status int, answer []byte, err error) {
	return n.Send(method, path, "application/json", strings.NewReader(body))
}

// Send sends an HTTP request, once.
func (n *Node) Send(method, path, contentType string, body io.Reader) (status int, answer []byte, err error) {
	r := client.Request{Method: method, Path: path, Header: http.Header{"Content-Type": {contentType}}}
	if contentType != "application/json" {
		r.Header.Set("Accept", contentType)
	}
	if n.bearer != "" {
		r.Header.Set("Authorization", "Bearer "+n.bearer)
	}
	if body != nil {
		if r.Body, err = io.ReadAll(body); err != nil {
			return 0, nil, err
		}
	}
	a, err := n.client.Exchange(context.Background(), r)
	if err != nil {
		return 0, nil, err
	}
	return a.Status, a.Body, nil
}

// freePorts returns addresses on loopback that are the test's, and that nobody listens on.
func freePorts(t testing.TB, n int) []string {
	t.Helper()
	var ports procs.Ports
	t.Cleanup(ports.Close)
	addrs, err := ports.Addrs(n)
	if err != nil {
		t.Fatal(err)
	}
	return addrs
}

// Eventually polls until check returns nil.
func Eventually(t testing.TB, patience time.Duration, check func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := procs.Poll(ctx, 20*time.Millisecond, check); err != nil {
		t.Fatalf("not within %v: %v", patience, err)
	}
}
