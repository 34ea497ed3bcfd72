package shard

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/lockstepkv/lockstep/fsm"
	"github.com/lockstepkv/lockstep/shard/quarantine"
	"github.com/lockstepkv/lockstep/shard/readindex"
	"github.com/lockstepkv/lockstep/transport"
)

func TestImplausibleBatchesAreRefused(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	boot := nextBoot(0, now)
	sound := fsm.Batch{Node: "n2", Boot: boot, Seq: 7, Acked: 6}
	if err := plausibleBatch(sound, "n2", now.UnixMilli()); err != nil {
		t.Error(err)
	}
	for name, b := range map[string]fsm.Batch{
		"for another node":         {Node: "n3", Boot: boot, Seq: 7, Acked: 6},
		"last sequence":            {Node: "n2", Boot: boot, Seq: math.MaxUint64},
		"resolved beyond its own":  {Node: "n2", Boot: boot, Seq: 7, Acked: 8},
		"last start":               {Node: "n2", Boot: math.MaxUint64, Seq: 7},
		"a start in two centuries": {Node: "n2", Boot: nextBoot(0, now.AddDate(200, 0, 0)), Seq: 7},
	} {
		if err := plausibleBatch(b, "n2", now.UnixMilli()); !errors.Is(err, errMalformedMessage) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestImplausibleAnswersAreRefused(t *testing.T) {
	for name, n := range map[string]readindex.Noted{"index": {Index: transport.MaxNumber + 1}, "term": {Term: math.MaxUint64}} {
		if _, _, err := decodeNoted(appendNoted(nil, n, 1)); !errors.Is(err, errMalformedMessage) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, s := range map[string]quarantine.Admission{"term": {Term: math.MaxUint64}, "far term": {Term: 1 << 33}} {
		reply, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := decodeAdmission(reply, time.Now().UnixMilli()); !errors.Is(err, quarantine.ErrMalformed) {
			t.Errorf("admission with that %s: %v", name, err)
		}
	}
}

// TestAnImplausibleStartElsewhereCountsAsNone: a wiped node joins the others, whatever
// start of it they remember.
func TestAnImplausibleStartElsewhereCountsAsNone(t *testing.T) {
	reply, err := json.Marshal(quarantine.Admission{Established: true, Term: 7, Boot: math.MaxUint64})
	if err != nil {
		t.Fatal(err)
	}
	s, err := decodeAdmission(reply, time.Now().UnixMilli())
	if want := (quarantine.Admission{Established: true, Term: 7}); err != nil || s != want {
		t.Errorf("got %+v, %v", s, err)
	}
}

// TestTheNumberAfterTheLastPlausibleOne: where a number that cannot be stood in the way, the log
// knows the last plausible one by its own clock. The node takes the next, also when its clock is
// behind, and others take that from it.
func TestTheNumberAfterTheLastPlausibleOne(t *testing.T) {
	logged := time.Now()
	behind := logged.Add(-time.Hour)
	last := uint64(logged.UnixMilli()+fsm.BootAheadMillis+1)<<fsm.BootBits - 1
	m := mustOpenMeta(t, t.TempDir(), testIdentity())
	defer m.Close()
	if err := m.RaiseBoot(last, behind); err != nil || m.Boot() != last+1 {
		t.Fatalf("start %d after %d: %v", m.Boot(), last, err)
	}
	if err := plausibleBatch(fsm.Batch{Node: "n2", Boot: last + 1, Seq: 1}, "n2", behind.UnixMilli()); err != nil {
		t.Error(err)
	}
}

// TestALeaderLogsNoImplausibleStart: the number would enter every replica's session, and
// the node could never get past it.
func TestALeaderLogsNoImplausibleStart(t *testing.T) {
	fatal := make(chan error, 1)
	c := newCluster(t, 1, func(o *Options) {
		o.Fatal = func(err error) {
			select {
			case fatal <- err:
			default:
			}
		}
	})
	c.want("n1", "SET k v", "+OK\r\n")
	g := c.group("n1")
	known := g.fsm.BootOf("n1")
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = g.packer.Submit(t.Context(), fsm.Batch{Node: "n1", Boot: math.MaxUint64, Seq: 1})
	}()
	select {
	case err := <-fatal:
		if !strings.Contains(err.Error(), "start 18446744073709551615") {
			t.Error(err)
		}
	case <-time.After(time.Minute):
		t.Error("nothing was said")
	}
	if boot := g.fsm.BootOf("n1"); boot != known {
		t.Errorf("start %d in the session, was %d", boot, known)
	}
	c.stopAll()
	<-ended
}

// A grant of a term that cannot be does not keep this replica from believing those of
// the terms to come.
func TestImplausibleGrantsAreRefused(t *testing.T) {
	c := newCluster(t, 1, nil)
	g := c.group("n1")
	msg := binary.AppendUvarint(nil, math.MaxUint64)
	if err := g.answerGranted(append(msg, 1, 1, 'x')); !errors.Is(err, errMalformedMessage) {
		t.Errorf("%v", err)
	}
}
