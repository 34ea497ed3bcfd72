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
		go d.Crash()    // while the entries are flushed
		const last = 50 // so that the part that makes it is not all of them
		var list []*raft.Log
		for i := range uint64(last) {
			list = append(list, &raft.Log{Index: i + 1, Term: 1})
		}
		if err := before.StoreLogs(list); err != nil {
			t.Fatal(err)
		}
		if _, kept := d.Range(); kept == last {
			t.Fatal("nothing was lost")
		}
		var l raft.Log
		if err := before.GetLog(last, &l); err != nil || l.Index != last {
			t.Errorf("the last entry in the life that stored it: %+v, %v", l, err)
		}
		if err := d.Open().GetLog(last, &l); !errors.Is(err, raft.ErrLogNotFound) {
			t.Errorf("an entry that nobody stored: %v", err)
		}
	})
}
