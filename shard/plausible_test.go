package shard

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"math"
	"testing"
	"time"

	"github.com/lockstepkv/lockstep/fsm"
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
	for name, n := range map[string]noted{"index": {index: transport.MaxNumber + 1}, "term": {term: math.MaxUint64}} {
		if _, _, err := decodeNoted(appendNoted(nil, n, 1)); !errors.Is(err, errMalformedMessage) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, s := range map[string]seniority{"term": {Term: math.MaxUint64}, "far term": {Term: 1 << 33}} {
		reply, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := decodeSeniority(reply, time.Now().UnixMilli()); !errors.Is(err, errMalformedMessage) {
			t.Errorf("seniority with that %s: %v", name, err)
		}
	}
}

// TestAnImplausibleStartElsewhereCountsAsNone: a wiped node joins the others, whatever
// start of it they remember.
func TestAnImplausibleStartElsewhereCountsAsNone(t *testing.T) {
	reply, err := json.Marshal(seniority{Established: true, Term: 7, Boot: math.MaxUint64})
	if err != nil {
		t.Fatal(err)
	}
	s, err := decodeSeniority(reply, time.Now().UnixMilli())
	if want := (seniority{Established: true, Term: 7}); err != nil || s != want {
		t.Errorf("got %+v, %v", s, err)
	}
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
