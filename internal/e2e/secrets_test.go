package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/lockstepkv/lockstep/internal/procs"
)

// replaceFile puts a new file in the place of one, whole: a node that looks meanwhile finds the one or the other.
func replaceFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// hangUp sends SIGHUP and waits until the node has read its secrets again because of it, and not because it looked.
func (n *Node) hangUp() {
	n.t.Helper()
	const asked = "SIGHUP: reading passwords"
	before := strings.Count(n.Log(), asked)
	n.Signal(syscall.SIGHUP)
	Eventually(n.t, patience, func() error {
		log := n.Log()
		if strings.Count(log, asked) <= before || !strings.Contains(log[strings.LastIndex(log, asked):], "in use") {
			return fmt.Errorf("%s has not read its secrets again", n.ID)
		}
		return nil
	})
}

// A SIGHUP while a node starts, which here cannot go on before it has read its settings, is kept: the node reads its
// secrets again when it can.
func TestHangupWhileStarting(t *testing.T) {
	dir := t.TempDir()
	password, config := filepath.Join(dir, "password"), filepath.Join(dir, "config")
	replaceFile(t, password, "secret\n")
	if err := syscall.Mkfifo(config, 0o600); err != nil {
		t.Fatal(err)
	}
	c := NewCluster(t, Options{Nodes: 1, Flags: []string{"--requirepass-file", password, "--config", config}})
	n := c.Nodes[0]
	n.bearer = "secret"
	n.Start()
	var w *os.File
	Eventually(t, patience, func() (err error) {
		w, err = os.OpenFile(config, os.O_WRONLY|syscall.O_NONBLOCK, 0) // once the node has it open
		return err
	})
	n.Signal(syscall.SIGHUP)
	if _, err := w.WriteString("log-level: info\n"); err != nil {
		t.Fatal(err)
	}
	w.Close()
	c.WaitWhole()
	Eventually(t, patience, func() error {
		if !strings.Contains(n.Log(), "SIGHUP: reading passwords") {
			return fmt.Errorf("the signal is forgotten")
		}
		return nil
	})
}

// A node gets its password from a file and reads it again on SIGHUP, and by
// itself; clients on the way to the new password may show either. SIGHUP ends
// nothing, and neither does a log that nobody reads any more.
func TestPasswordIsReplacedWhileServing(t *testing.T) {
	file := filepath.Join(t.TempDir(), "password")
	replace := func(text string) {
		t.Helper()
		replaceFile(t, file, text)
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
	n.hangUp()
	for _, password := range []string{"second", "first"} {
		if err := accepted(password, "+OK"); err != nil {
			t.Error(err)
		}
	}
	replace("") // a mistake changes nothing
	n.hangUp()
	if !strings.Contains(n.Log(), "the old stays in use") {
		t.Error("no word about the empty file")
	}
	if err := accepted("second", "+OK"); err != nil {
		t.Error(err)
	}
	replace("second\n") // found without a signal
	Eventually(t, patience, func() error { return accepted("first", "-WRONGPASS") })
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
		replaceFile(t, files[n], text)
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
			Eventually(t, patience, func() error {
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
			n.hangUp()
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
	Eventually(t, patience, func() error {
		if !strings.Contains(n.NewLog(), "no proof of a common cluster secret") {
			return fmt.Errorf("%s has not been refused", n.ID)
		}
		return nil
	})
	c.Nodes[0].awaitStates(t, "up up down")
	replace(n, after+"\n")
	n.hangUp()
	serves("in the end")
}
