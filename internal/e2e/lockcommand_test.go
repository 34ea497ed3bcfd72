package e2e

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

var errStillRuns = errors.New("the command still runs")

// TestCommandDiesWithItsLock: `lockstep lock` is killed with kill -9, so nobody
// renews the lock and nobody stops the command. It must not go on beside the next
// holder's.
func TestCommandDiesWithItsLock(t *testing.T) {
	c := StartCluster(t, Options{Nodes: 1})
	file := filepath.Join(t.TempDir(), "pid")
	cmd := exec.Command(Binary(t), "lock", "job", "--endpoint", "http://"+c.Nodes[0].HTTP, "--ttl", "30s", "--", "sh", "-c", "echo $$ > "+file+"; exec sleep 600")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var pid int
	Eventually(t, patience, func() error {
		text, err := os.ReadFile(file)
		if err == nil {
			pid, err = strconv.Atoi(strings.TrimSpace(string(text)))
		}
		return err
	})
	if err := syscall.Kill(pid, 0); err != nil {
		t.Fatalf("the command does not run: %v", err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	Eventually(t, patience, func() error {
		stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
		if err != nil || strings.Contains(string(stat), ") Z ") {
			return nil // gone, or dead and not yet collected
		}
		return errStillRuns
	})
}
