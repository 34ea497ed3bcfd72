package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/lockstepkv/lockstep/internal/procs"
)

// serveOnce runs `lockstep serve` with flags that it must refuse, and returns its
// exit code and what it printed.
func serveOnce(t *testing.T, args ...string) (code int, output string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "output")
	p, err := startProcess(Binary(t), path, append([]string{"serve"}, args...))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Kill()
	code, err = p.Wait(patience)
	if err != nil {
		t.Fatalf("serve %q: %v\n%s", args, err, procs.LastLines(path, 20))
	}
	return code, procs.LastLines(path, 20)
}

func refused(t *testing.T, code int, words string, args ...string) {
	t.Helper()
	got, output := serveOnce(t, args...)
	if got != code || !strings.Contains(output, words) {
		t.Errorf("serve %q: exit code %d, want %d and the words %q:\n%s", args, got, code, words, output)
		return
	}
	t.Logf("exit code %d: %s", got, output)
}

// A data directory is refused by anybody but its own node, and says so.
func TestForeignDataIsRefused(t *testing.T) {
	c := StartCluster(t, Options{Nodes: 1})
	n := c.Nodes[0]
	if err := (HTTPClient{n}).Set("k", "v"); err != nil {
		t.Fatal(err)
	}
	fresh := freePorts(t, 3)
	elsewhere := []string{"--data-dir", n.DataDir, "--http", fresh[0], "--resp", fresh[1], "--peer", fresh[2]}
	refused(t, 1, "data directory is in use by another process", elsewhere...)
	n.Signal(syscall.SIGTERM)
	if code := n.Wait(stopPatience); code != 0 {
		t.Errorf("SIGTERM: exit code %d", code)
	}
	const words = "data directory belongs to something else"
	own := n.args[1:]
	with := func(extra ...string) []string { return append(slices.Clone(own), extra...) }
	refused(t, 1, words, with("--id", "n2")...)
	refused(t, 1, words, with("--cluster-name", "other")...)
	refused(t, 1, words, with("--shards", "2")...)
	refused(t, 1, words, with("--log-engine", "bolt")...)
	refused(t, 1, words, with("--initial-cluster", "n1="+n.Peer+",n2="+fresh[0])...)
	n.Start()
	c.WaitWhole()
	if status, body, err := n.Do("GET", "/v1/keys/k", ""); status != 200 {
		t.Errorf("after all refusals: %d %s %v", status, body, err)
	}
}

// A node with another idea of the cluster is kept out by the others.
func TestNodeOfAnotherClusterIsKeptOut(t *testing.T) {
	c := StartCluster(t, Options{})
	stranger := c.Nodes[2]
	stranger.Kill()
	if err := os.RemoveAll(stranger.DataDir); err != nil {
		t.Fatal(err)
	}
	stranger.Start("--shards", "2")
	Eventually(t, patience, func() error {
		if err := c.Nodes[0].Ready(); err != nil {
			return err
		}
		if !strings.Contains(stranger.Log(), "peer belongs to another cluster") {
			return fmt.Errorf("the stranger was not told why")
		}
		return nil
	})
	for line := range strings.SplitSeq(stranger.Log(), "\n") {
		if strings.Contains(line, "peer belongs to another cluster") {
			t.Log(line)
			break
		}
	}
	if stranger.Ready() == nil {
		t.Error("a node with other shards serves")
	}
}

// What would be dangerous or meaningless is refused before anything is written.
func TestWrongSettingsAreRefused(t *testing.T) {
	c := StartCluster(t, Options{Nodes: 1})
	taken := c.Nodes[0]
	for _, test := range []struct {
		name  string
		code  int
		words string
		args  []string
	}{
		{"HTTP port in use", 1, "--http: listen tcp " + taken.HTTP + ": bind: address already in use", []string{"--http", taken.HTTP}},
		{"Redis port in use", 1, "--resp: listen tcp " + taken.RESP + ": bind: address already in use", []string{"--resp", taken.RESP}},
		{"peer port in use", 1, "--peer: listen tcp " + taken.Peer + ": bind: address already in use", []string{"--peer", taken.Peer}},
		{"HTTP for all without a password", 2, "no password is set", []string{"--http", "0.0.0.0:20001"}},
		{"Redis protocol for all without a password", 2, "no password is set", []string{"--resp", "0.0.0.0:20001"}},
		{"peers for all without TLS", 2, "--peer: 0.0.0.0:20001 can be reached", []string{"--requirepass", "x", "--peer", "0.0.0.0:20001"}},
		{"unknown flag", 2, "unknown flag: --sharts", []string{"--sharts", "2"}},
		{"no shards", 2, "--shards", []string{"--shards", "0"}},
		{"size without sense", 2, `"64 apples" is not a size`, []string{"--max-value-size", "64 apples"}},
		{"half of TLS", 2, "--tls-key: is missing", []string{"--tls-cert", "cert.pem"}},
		{"not a member", 2, "lists n8, n9 but not this node, n1", []string{"--initial-cluster", "n8=127.0.0.1:20008,n9=127.0.0.1:20009"}},
		{"an argument too many", 2, "unknown command", []string{"now"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "data")
			ports := freePorts(t, 3)
			args := []string{"--data-dir", dir, "--http", ports[0], "--resp", ports[1], "--peer", ports[2]}
			refused(t, test.code, test.words, append(args, test.args...)...)
			if _, err := os.Stat(dir); !os.IsNotExist(err) {
				t.Errorf("the data directory was touched: %v", err)
			}
		})
	}
}
