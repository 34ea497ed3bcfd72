package sim

import (
	"errors"
	"testing"
	"testing/synctest"

	"github.com/hashicorp/raft"
)

// A crash during a flush: for the Raft that does not know yet, nothing is missing; for the
// next life of the node it is.
func TestLogOfACrashedNodeMissesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := NewDisk(1)
		before := d.Open()
		go d.Crash() // while the entries are flushed
		if err := before.StoreLogs([]*raft.Log{{Index: 1, Term: 1}, {Index: 2, Term: 1}}); err != nil {
			t.Fatal(err)
		}
		var l raft.Log
		if err := before.GetLog(2, &l); err != nil || l.Index != 2 {
			t.Errorf("entry 2 in the life that stored it: %+v, %v", l, err)
		}
		if err := d.Open().GetLog(3, &l); !errors.Is(err, raft.ErrLogNotFound) {
			t.Errorf("an entry that nobody stored: %v", err)
		}
	})
}
