package main

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestClusterScript runs scripts/cluster with real nodes, as
// testdata/clusterscript/*.txtar say.
func TestClusterScript(t *testing.T) {
	script, err := filepath.Abs("../../scripts/cluster")
	if err != nil {
		t.Fatal(err)
	}
	buildRunner(t, script)
	testscript.Run(t, testscript.Params{
		Dir: "testdata/clusterscript",
		Setup: func(e *testscript.Env) error {
			e.Setenv("CLUSTER", script)
			e.Setenv("LOCKSTEP_CLUSTER_DIR", filepath.Join(e.WorkDir, "state"))
			e.Setenv("LOCKSTEP_BASE_PORT_OFFSET", freeOffset(t))
			e.Setenv("LOCKSTEP_BIN", lookIn(e.Getenv("PATH"), "lockstep"))
			e.Defer(func() {
				down := exec.Command(script, "down")
				down.Env = e.Vars
				_ = down.Run() // fails where no cluster was left
			})
			return nil
		},
	})
}

// buildRunner lets the script build what it calls, while there is a cache to build with: the
// scripts have no home.
func buildRunner(t *testing.T, script string) {
	t.Helper()
	status := exec.Command(script, "status")
	status.Env = append(os.Environ(), "LOCKSTEP_CLUSTER_DIR="+t.TempDir())
	if out, err := status.CombinedOutput(); err == nil || !strings.Contains(string(out), "there is no cluster") {
		t.Fatalf("%v\n%s", err, out)
	}
}

// freeOffset finds ports for three nodes that nobody listens on.
func freeOffset(t *testing.T) string {
	for offset := 12000; offset < 50000; offset += 10 {
		if portsFree(offset) {
			return strconv.Itoa(offset)
		}
	}
	t.Fatal("no free ports")
	return ""
}

func portsFree(offset int) bool {
	for _, base := range []int{7000, 8000, 9000} {
		for n := 1; n <= 3; n++ {
			l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(base+n+offset)))
			if err != nil {
				return false
			}
			l.Close()
		}
	}
	return true
}
