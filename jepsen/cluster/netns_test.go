package cluster

import (
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

// helperEnv makes the test binary a harness of its own; its value is how many
// nodes.
const helperEnv = "LSJ_TEST_NODES"

func TestMain(m *testing.M) {
	nodes, err := strconv.Atoi(os.Getenv(helperEnv))
	if err != nil {
		// What starts processes lasts on purpose.
		goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/lockstepkv/lockstep/internal/procs.init.func1.1")) // exits
	}
	n, err := newNamespaces(nodes)
	if err != nil {
		os.Stderr.WriteString(err.Error())
		os.Exit(1)
	}
	os.Stdout.WriteString(n.addr(254) + "\n")
	_, _ = os.Stdin.Read(make([]byte, 1)) // until the parent closes it
	if err := n.Close(); err != nil {
		os.Stderr.WriteString(err.Error())
		os.Exit(1)
	}
	os.Exit(0)
}

// Several harnesses of one machine begin at the same time, with remains of one
// that was killed, and each gets a network of its own.
func TestHarnessesThatBeginTogether(t *testing.T) {
	if !namespacesPossible() {
		t.Log("no namespaces here")
		return
	}
	leaveRemains(t)
	type harness struct {
		cmd  *exec.Cmd
		addr string
	}
	var all []*harness
	for range 3 {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), helperEnv+"=3")
		cmd.Stderr = os.Stderr
		all = append(all, &harness{cmd: cmd})
	}
	seen := map[string]bool{}
	var closers []func() error
	var outs []interface{ Read([]byte) (int, error) }
	for _, h := range all {
		in, err := h.cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		out, err := h.cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := h.cmd.Start(); err != nil {
			t.Fatal(err)
		}
		closers, outs = append(closers, in.Close), append(outs, out)
	}
	for i, h := range all {
		text := make([]byte, 64)
		n, _ := outs[i].Read(text)
		h.addr = strings.TrimSpace(string(text[:n]))
		if net.ParseIP(h.addr) == nil || seen[h.addr] {
			t.Errorf("harness %d has the address %q, others have %v", i, h.addr, seen)
		}
		seen[h.addr] = true
	}
	for i, h := range all {
		_ = closers[i]()
		if err := h.cmd.Wait(); err != nil {
			t.Errorf("harness %d: %v", i, err)
		}
	}
}

// leaveRemains makes what a harness leaves that is killed.
func leaveRemains(t *testing.T) {
	t.Helper()
	cmd := exec.Command("true")
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	gone := "lsj" + strconv.Itoa(cmd.Process.Pid)
	for _, args := range [][]string{
		{"link", "add", gone + "b", "type", "bridge"},
		{"netns", "add", gone + "-n1"}, {"netns", "add", gone + "-n2"}, {"netns", "add", gone + "-n3"},
	} {
		if err := run("ip", args...); err != nil {
			t.Fatal(err)
		}
	}
}
