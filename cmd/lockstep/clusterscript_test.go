package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/lockstepkv/lockstep/internal/procs"
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

// freeOffset finds ports for three nodes, which are the test's.
func freeOffset(t *testing.T) string {
	var ports procs.Ports
	t.Cleanup(ports.Close)
	offset, err := ports.Offset([]int{7001, 7002, 7003, 8001, 8002, 8003, 9001, 9002, 9003})
	if err != nil {
		t.Fatal(err)
	}
	return strconv.Itoa(offset)
}
