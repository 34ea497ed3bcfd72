package e2e

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/lockstepkv/lockstep/internal/procs"
)

// A cluster that a backup is restored into goes on above the backup's fences. It
// learns them over HTTP, with the password, from the address that the node tells.
func TestRestoreRaisesFences(t *testing.T) {
	const password = "correct horse"
	c := StartCluster(t, Options{Nodes: 1, Password: password})
	n := c.Nodes[0]
	w := n.Dial()
	w.Do("AUTH", password)
	w.Do("SET", "k", "v")
	before := fenceOf(t, n, "job")
	file := filepath.Join(t.TempDir(), "backup.rdb")
	run := func(args ...string) {
		t.Helper()
		cmd := exec.Command(Binary(t), args...)
		cmd.Env = append(procs.CleanEnv(), "LOCKSTEP_PASSWORD="+password)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
	}
	run("backup", file, "--endpoint", "http://"+n.HTTP)

	fresh := StartCluster(t, Options{Nodes: 1, Password: password, Flags: []string{"--shards", "2", "--redirect", "forward"}})
	run("restore", file, "--resp", fresh.Nodes[0].RESP)
	w = fresh.Nodes[0].Dial()
	w.Do("AUTH", password)
	if got := w.Do("GET", "k"); got != "v" {
		t.Errorf("GET after the restore: %s", got)
	}
	if got := w.Do("FENCED", "other", strconv.FormatUint(before, 10), "SET", "k", "w"); !strings.HasPrefix(got, "-STALEFENCE") {
		t.Errorf("a fence of the backup: %s", got)
	}
	if after := fenceOf(t, fresh.Nodes[0], "job"); after <= before {
		t.Errorf("fence %d after %d", after, before)
	}
	if got := w.Do("LS.FENCEFLOOR", "4611686018427387904"); !strings.HasPrefix(got, "-ERR unknown command") {
		t.Errorf("LS.FENCEFLOOR: %s", got)
	}
}

// fenceOf takes a lock.
func fenceOf(t *testing.T, n *Node, name string) uint64 {
	t.Helper()
	status, body, err := n.Do("POST", "/v1/locks/"+name, `{"ttl_ms":60000}`)
	var answer struct {
		Fence uint64 `json:"fence"`
	}
	if err == nil {
		err = json.Unmarshal(body, &answer)
	}
	if err != nil || status != 200 || answer.Fence == 0 {
		t.Fatalf("lock: %d %s %v", status, body, err)
	}
	return answer.Fence
}
