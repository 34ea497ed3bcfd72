package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lockstepkv/lockstep/internal/procs"
)

// A node gets its password from a file and reads it again on SIGHUP, and by
// itself; clients on the way to the new password may show either. SIGHUP ends
// nothing, and neither does a log that nobody reads any more.
func TestPasswordIsReplacedWhileServing(t *testing.T) {
	file := filepath.Join(t.TempDir(), "password")
	replace := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	replace("first\n")
	c := NewCluster(t, Options{Nodes: 1, Flags: []string{"--requirepass-file", file}})
	n := c.Nodes[0]
	n.bearer = "first"
	c.StartAll()
	stays := n.Dial()
	if got := stays.Do("AUTH", "first"); got != "+OK" {
		t.Fatalf("AUTH: %s", got)
	}
	accepted := func(password, want string) error {
		if got := n.Dial().Do("AUTH", password); !strings.HasPrefix(got, want) {
			return fmt.Errorf("AUTH %s: %s", password, got)
		}
		return nil
	}
	replace("second\nfirst\n")
	n.Signal(syscall.SIGHUP)
	Eventually(t, 10*time.Second, func() error { return accepted("second", "+OK") })
	if err := accepted("first", "+OK"); err != nil {
		t.Error(err)
	}
	replace("") // a mistake changes nothing
	n.Signal(syscall.SIGHUP)
	Eventually(t, 10*time.Second, func() error {
		if !strings.Contains(n.Log(), "the old stays in use") {
			return fmt.Errorf("no word about the empty file")
		}
		return accepted("second", "+OK")
	})
	replace("second\n") // found without a signal
	Eventually(t, 20*time.Second, func() error { return accepted("first", "-WRONGPASS") })
	if got := stays.Do("PING"); got != "+PONG" {
		t.Errorf("a connection that was open: %s", got)
	}
	if text := n.Log(); strings.Contains(text, "first") || strings.Contains(text, "second\n") {
		t.Error("a password is in the log")
	}
	n.Signal(syscall.SIGTERM)
	if code := n.Wait(stopPatience); code != 0 {
		t.Errorf("exit code %d", code)
	}
	exportIsPrivate(t, n)
}

// What is exported is data of others, as a backup is.
func exportIsPrivate(t *testing.T, n *Node) {
	path := filepath.Join(t.TempDir(), "out.aof")
	if out, err := exec.Command(Binary(t), "export-aof", "--data-dir", n.DataDir, path).CombinedOutput(); err != nil {
		t.Fatalf("export-aof: %v\n%s", err, out)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("the export has mode %v", info.Mode())
	}
}

// A node whose log goes to a program that has ended goes on.
func TestNodeOutlivesItsLogReader(t *testing.T) {
	c := NewCluster(t, Options{Nodes: 1})
	n := c.Nodes[0]
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(Binary(t), append(n.args, "--log-level", "debug")...)
	cmd.Stderr, cmd.Env, cmd.Dir = w, procs.CleanEnv(), filepath.Dir(n.DataDir)
	p, err := procs.Adopt(cmd)
	if err != nil {
		t.Fatal(err)
	}
	n.mu.Lock()
	n.proc = p
	n.mu.Unlock()
	w.Close()
	if _, err := r.Read(make([]byte, 1)); err != nil { // it has begun to write
		t.Fatal(err)
	}
	r.Close()
	c.WaitWhole()
	n.Signal(syscall.SIGTERM)
	if code := n.Wait(stopPatience); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// The cluster's secret is replaced node by node while all serve: each node has two for a
// time, and one that starts again meanwhile finds the others.
func TestPeerSecretIsReplacedWhileServing(t *testing.T) {
	before, after := strings.Repeat("b", 32), strings.Repeat("a", 44)
	c := NewCluster(t, Options{})
	files := map[*Node]string{}
	replace := func(n *Node, text string) {
		t.Helper()
		if err := os.WriteFile(files[n], []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, n := range c.Nodes {
		files[n] = filepath.Join(t.TempDir(), "secret")
		replace(n, before+"\n")
		n.args = append(n.args, "--peer-secret-file", files[n])
	}
	c.StartAll()
	serves := func(when string) {
		t.Helper()
		for _, n := range c.Nodes {
			n.awaitStates(t, "up up up")
			Eventually(t, 30*time.Second, func() error {
				if got := n.Dial().Do("SET", "k", when); got != "+OK" {
					return fmt.Errorf("SET on %s %s: %s", n.ID, when, got)
				}
				return nil
			})
		}
	}
	serves("before")
	for step, text := range []string{after + "\n" + before + "\n", after + "\n"} {
		for i, n := range c.Nodes {
			replace(n, text)
			n.Signal(syscall.SIGHUP)
			Eventually(t, 20*time.Second, func() error {
				if strings.Count(n.Log(), `what="peer secret"`) <= step {
					return fmt.Errorf("%s has not read the secret again", n.ID)
				}
				return nil
			})
			if i != step { // one that has two among those with one, and the other way round
				continue
			}
			n.Kill()
			n.Start()
			serves(fmt.Sprintf("in step %d, after %s", step, n.ID))
		}
	}
	n := c.Nodes[2]
	n.Kill()
	replace(n, before+"\n") // as one that was forgotten
	n.Start()
	c.Nodes[0].awaitStates(t, "up up down")
	replace(n, after+"\n")
	n.Signal(syscall.SIGHUP)
	serves("in the end")
}
