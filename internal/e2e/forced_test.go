package e2e

import (
	"fmt"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// An operator releases, through a node that does not lead, a lock whose holder hangs. The
// next one in the queue gets it, the old holder has lost it for good, and all of that
// outlives the death of every node.
func TestForcedReleaseOfALock(t *testing.T) {
	c := StartCluster(t, Options{Flags: []string{"--shards", "4", "--redirect", "forward"}})
	const name = "deploy"
	holder := c.Nodes[0].take(name, 10*time.Minute)
	next := c.Nodes[1].lock(name, 10*time.Minute, 10*time.Minute)
	c.Nodes[1].awaitWaiters(name, 1)
	for i := range 20 {
		c.Nodes[i%3].take(fmt.Sprintf("many:%d", i), 10*time.Minute)
	}
	operator := c.Nodes[2]
	run := func(args ...string) string {
		t.Helper()
		out, err := exec.Command(Binary(t), append(args, "--endpoint", "http://"+operator.HTTP)...).CombinedOutput()
		if err != nil {
			t.Fatalf("lockstep %s: %v: %s", strings.Join(args, " "), err, out)
		}
		return string(out)
	}
	if out := run("lock", "list", "many:"); strings.Count(out, "many:") != 20 {
		t.Errorf("listed:\n%s", out)
	}
	if out := run("lock", "list", "--count"); out != "21\n" {
		t.Errorf("counted %s", out)
	}
	run("lock", "release", "--force", name, "--reason", "its holder hangs", "--fence", fmt.Sprint(holder.fence))
	if err := next.granted(patience); err != nil || next.fence <= holder.fence {
		t.Fatalf("fence %d after %d, %v", next.fence, holder.fence, err)
	}
	if log := operator.Log(); !strings.Contains(log, "its holder hangs") || !strings.Contains(log, fmt.Sprint("fence=", holder.fence)) {
		t.Error("the log does not tell why the lock was released")
	}
	for _, n := range c.Nodes {
		n.Kill()
	}
	c.StartAll()
	for _, n := range c.Nodes {
		w := n.Dial()
		if got := w.Do("LOCKRENEW", name, holder.token, "1000"); got != ":0" {
			t.Errorf("a renewal by the old holder on %s: %q", n.ID, got)
		}
		if got := w.Do("FENCED", name, fmt.Sprint(holder.fence), "SET", name, "late"); !strings.HasPrefix(got, "-STALEFENCE") {
			t.Errorf("a write of the old holder on %s: %q", n.ID, got)
		}
		if got := w.Do("LOCKRENEW", name, next.token, "600000"); got != ":1" {
			t.Errorf("a renewal by the new holder on %s: %q", n.ID, got)
		}
	}
	status, _, err := operator.Do("DELETE", "/v1/locks/"+name, fmt.Sprintf(`{"token":%q}`, holder.token))
	if err != nil {
		t.Fatal(err)
	}
	if status != http.StatusConflict {
		t.Errorf("a release by the old holder: %d", status)
	}
}
