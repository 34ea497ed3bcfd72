package shard

import (
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
)

// Losing the majority is one sentence that names who is missing, and nothing more.
func TestMajorityLostIsToldOnce(t *testing.T) {
	var log strings.Builder
	w := majorityWatch{logger: textLogger(&log), nodes: 3, grace: bootGrace}
	w.look([]string{"n2", "n3"}, bootGrace-1) // starting
	w.look([]string{"n3"}, 20*time.Second)
	w.look([]string{"n2", "n3"}, 20*time.Second+majorityGrace/2) // a connection made anew
	w.look(nil, 21*time.Second)
	if log.Len() > 0 {
		t.Errorf("told without need: %s", log.String())
	}
	for i := range 100 {
		w.look([]string{"n2", "n3"}, 22*time.Second+time.Duration(i)*time.Second)
	}
	if got := log.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "level=ERROR") || !strings.Contains(got, "missing=n2,n3") {
		t.Errorf("got %s", got)
	}
	log.Reset()
	w.look([]string{"n2"}, 200*time.Second)
	w.look(nil, 201*time.Second)
	if got := log.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "is there") || !strings.Contains(got, "after=2m59s") {
		t.Errorf("got %s", got)
	}
}

// A node that starts without a majority says whom it waits for: once, and no error, since
// nodes are started one after the other.
func TestStartWithoutMajorityIsToldOnce(t *testing.T) {
	var log strings.Builder
	w := majorityWatch{logger: textLogger(&log), nodes: 3, grace: bootGrace, starting: true}
	for i := range 100 {
		w.look([]string{"n2", "n3"}, time.Duration(i)*time.Second)
	}
	if got := log.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "level=WARN") || !strings.Contains(got, "waits for a majority") || !strings.Contains(got, "missing=n2,n3") {
		t.Errorf("got %s", got)
	}
	w.look(nil, 100*time.Second)
	log.Reset()
	w.look([]string{"n2", "n3"}, 102*time.Second)
	if got := log.String(); !strings.Contains(got, "level=ERROR") || !strings.Contains(got, "the majority is lost") {
		t.Errorf("got %s", got)
	}
}

// What belongs to any change of leader, and to any start, is no warning, whatever Raft calls it.
func TestRaftLogLevels(t *testing.T) {
	var log strings.Builder
	l := newRaftLogger(textLogger(&log).With("node", "n1"))
	l.Warn("heartbeat timeout reached, starting election", "last-leader-id", "n1")
	l.Error("peer has newer term, stopping replication", "peer", raft.Server{ID: "n2"})
	l.Error("failed to make requestVote RPC", "target", raft.Server{ID: "n2"})
	l.Warn("failed to contact", "server-id", "n2")
	if got := log.String(); strings.Contains(got, "WARN") || strings.Contains(got, "ERROR") || strings.Contains(got, "requestVote") {
		t.Errorf("too loud: %s", got)
	}
	log.Reset()
	l.Error("failed to commit logs", "error", "disk")
	l.Info("initial configuration", "index", 1, "servers", hclog.Fmt("%+v", []raft.Server{{ID: "n1"}, {ID: "n2"}}))
	if got := log.String(); !strings.Contains(got, "level=ERROR") || !strings.Contains(got, "servers=n1,n2") {
		t.Errorf("got %s", got)
	}
}
