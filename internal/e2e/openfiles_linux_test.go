package e2e

import (
	"crypto/tls"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// flood keeps a number of connections open at an address, each with the same beginning of
// a request, and opens new ones for those that end.
type flood struct {
	stop chan struct{}
	done chan struct{}
}

func startFlood(addr string, n int, text string) *flood {
	f := &flood{stop: make(chan struct{}), done: make(chan struct{})}
	go func() {
		defer close(f.done)
		ended := make(chan struct{}, n)
		for range n {
			go f.hold(addr, text, ended)
		}
		for range n {
			<-ended
		}
	}()
	return f
}

// hold keeps one connection.
func (f *flood) hold(addr, text string, ended chan<- struct{}) {
	defer func() { ended <- struct{}{} }()
	for {
		select {
		case <-f.stop:
			return
		case <-time.After(300 * time.Millisecond):
		}
		c, err := net.DialTimeout("tcp", addr, time.Second)
		if err != nil {
			continue
		}
		_, _ = io.WriteString(c, text)
		gone := make(chan struct{})
		go func() {
			_, _ = io.Copy(io.Discard, c)
			close(gone)
		}()
		select {
		case <-f.stop:
		case <-gone:
		}
		c.Close()
		<-gone
	}
}

func (f *flood) end() {
	close(f.stop)
	<-f.done
}

// Nodes that may open 256 files each are flooded at every port. Their logs begin new
// segments and their shards take snapshots meanwhile, and clients are answered over both
// protocols, as are probes.
func TestFloodOfConnectionsWithFewOpenFiles(t *testing.T) {
	c := NewCluster(t, Options{Ulimit: "ulimit -n 256", Flags: append([]string{"--snapshot-log-bytes", "32mb"}, steady...)})
	probes := freePorts(t, len(c.Nodes))
	for i, n := range c.Nodes {
		n.args = append(n.args, "--metrics-http", probes[i])
	}
	c.StartAll()
	leader := c.Leader(0)
	if !strings.Contains(leader.Log(), "--maxclients is lowered from 10000 to") {
		t.Error("the log does not tell that the limits are lowered")
	}
	for _, n := range c.Nodes {
		defer startFlood(n.HTTP, 300, "PUT /v1/keys/stalled HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/octet-stream\r\nContent-Length: 1000000\r\n\r\nhello").end()
		defer startFlood(n.Peer, 100, "LSTP").end()
	}
	defer startFlood(probes[0], 100, "GET ").end()
	w := leader.Dial()
	value := strings.Repeat("v", 1<<20)
	for i := range 100 {
		if got := w.Do("SET", fmt.Sprintf("k%d", i%16), value); got != "+OK" {
			t.Fatalf("SET %d: %q", i, got)
		}
	}
	for i, n := range c.Nodes {
		Eventually(t, patience, func() error { return answeredOnce("http://" + n.HTTP + "/v1/keys/k1") })
		Eventually(t, patience, func() error { return answeredOnce("http://" + probes[i] + "/metrics") })
		Eventually(t, patience, func() error { return rotated(n) })
		if !n.Running() {
			t.Fatalf("%s has ended", n.ID)
		}
		if strings.Contains(n.Log(), "too many open files") {
			t.Errorf("%s ran out of files", n.ID)
		}
		files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", n.pid()))
		t.Logf("%s has %d files open, %v", n.ID, len(files), err)
	}
}

// answeredOnce gets a page over a new connection.
func answeredOnce(url string) error {
	client := http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get(url)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != 200 {
		return fmt.Errorf("%s: %d %v", url, resp.StatusCode, err)
	}
	return nil
}

// rotated: the log has come past its first segment, and there is a snapshot.
func rotated(n *Node) error {
	var later, snapshots int
	err := filepath.WalkDir(n.DataDir, func(path string, e fs.DirEntry, err error) error {
		var first uint64
		switch _, notSegment := fmt.Sscanf(filepath.Base(path), "%020d-", &first); {
		case err != nil || e.IsDir():
		case filepath.Ext(path) == ".wal" && notSegment == nil && first > 1:
			later++
		case strings.Contains(path, "snapshots"):
			snapshots++
		}
		return nil // files come and go
	})
	if err != nil || later == 0 || snapshots == 0 {
		return fmt.Errorf("%s: %d segments after the first, %d files of snapshots, %v", n.ID, later, snapshots, err)
	}
	return nil
}

// The soft limit is raised to the hard one, and told at the listener for probes, which asks
// for no certificate and no password though the others do.
func TestLimitOfOpenFilesIsRaised(t *testing.T) {
	dir := t.TempDir()
	clients := newAuthority(t, dir, "clients")
	server, client := clients.issue("server"), clients.issue("client")
	certificate, err := tls.LoadX509KeyPair(client.cert, client.key)
	if err != nil {
		t.Fatal(err)
	}
	c := NewCluster(t, Options{
		Nodes: 1, Password: "secret", Ulimit: "ulimit -Sn 128 && ulimit -Hn 3000",
		TLS:   &tls.Config{RootCAs: clients.pool(), Certificates: []tls.Certificate{certificate}},
		Flags: []string{"--tls-cert", server.cert, "--tls-key", server.key, "--tls-ca", clients.file},
	})
	n := c.Nodes[0]
	probe := freePorts(t, 1)[0]
	n.args = append(n.args, "--metrics-http", probe)
	c.StartAll() // over HTTP, in connections that stay
	text := page(t, "http://"+probe+"/metrics", 200)
	for _, want := range []string{`lockstep_limit{limit="open-files"} 3000`, `lockstep_connections{listener="metrics"} 1`, `lockstep_connections{listener="http"} `} {
		if !strings.Contains(text, want) {
			t.Errorf("there is no %s", want)
		}
	}
	if strings.Contains(text, `lockstep_connections{listener="http"} 0`) {
		t.Error("connections for HTTP are not counted")
	}
	page(t, "http://"+probe+"/healthz", 200)
	page(t, "http://"+probe+"/readyz", 200)
	page(t, "http://"+probe+"/v1/cluster", 404)
}

// page gets a page with nothing to show.
func page(t *testing.T, url string, status int) string {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != status {
		t.Errorf("%s: %d, %v", url, resp.StatusCode, err)
	}
	return string(text)
}

// A node that can open nothing at all goes on with the clients that it has, and takes
// others when it can.
func TestAcceptingPausesWithoutDescriptors(t *testing.T) {
	c := StartCluster(t, Options{Nodes: 1})
	n := c.Nodes[0]
	w := n.Dial()
	w.Do("SET", "k", "v")
	pid := n.pid()
	var before unix.Rlimit
	if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 3, Max: 3000}, &before); err != nil {
		t.Fatal(err)
	}
	for name, addr := range map[string]string{"http": n.HTTP, "resp": n.RESP, "peer": n.Peer} {
		nc, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		Eventually(t, patience, func() error {
			if !strings.Contains(n.Log(), "listener="+name) {
				return fmt.Errorf("the log does not tell that %s pauses", name)
			}
			return nil
		})
	}
	for range 10 {
		if got := w.Do("SET", "k", "v"); got != "+OK" {
			t.Errorf("SET meanwhile: %q", got)
		}
	}
	if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 3000, Max: 3000}, nil); err != nil {
		t.Fatal(err)
	}
	if got := n.Dial().Do("GET", "k"); got != "v" {
		t.Errorf("a new client: %q", got)
	}
	Eventually(t, patience, func() error { return n.Ready() })
	text := page(t, "http://"+n.HTTP+"/metrics", 200)
	for _, name := range []string{"http", "resp", "peer"} {
		if strings.Contains(text, `lockstep_accept_failures_total{listener="`+name+`"} 0`) {
			t.Errorf("failures of %s are not counted", name)
		}
	}
	Eventually(t, patience, func() error {
		if text := page(t, "http://"+n.HTTP+"/metrics", 200); strings.Contains(text, `lockstep_accept_paused{listener="resp"} 1`) {
			return fmt.Errorf("the listener says that it pauses")
		}
		return nil
	})
}
