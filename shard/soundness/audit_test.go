package soundness

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lockstepkv/lockstep/store"
)

// someData are those of a store with a few keys.
func someData() *store.Store {
	s := store.New(store.Options{})
	for i := range 100 {
		s.Put(fmt.Appendf(nil, "key%d", i), fmt.Appendf(nil, "value%d", i), 0, false)
	}
	return s
}

// TestAuditFindsWhatChangedByItself: the data do not come to the sum that was kept.
func TestAuditFindsWhatChangedByItself(t *testing.T) {
	for _, damaged := range []bool{false, true} {
		a := newRing("a", "b")["a"]
		s := someData()
		if damaged {
			s.Get([]byte("key7")).Bytes()[2] ^= 1
		}
		a.k.Audited(70, s.Freeze())
		a.k.walk(t.Context(), <-a.k.auditing)
		if a.k.Diverged() != damaged || len(a.k.audits.list(0)) != 1-a.condemned || a.audits != 1 {
			t.Errorf("damaged %v: diverged %v, notes %v", damaged, a.k.Diverged(), a.k.audits.list(0))
		}
	}
}

// TestAuditOfAnotherState says nothing of the one that has replaced it.
func TestAuditOfAnotherState(t *testing.T) {
	a := newRing("a", "b")["a"]
	s := someData()
	s.Get([]byte("key7")).Bytes()[2] ^= 1
	a.k.Audited(70, s.Freeze())
	a.restores++
	a.k.walk(t.Context(), <-a.k.auditing)
	if a.k.Diverged() || len(a.k.audits.list(1))+len(a.k.audits.list(0)) > 0 {
		t.Error("the new state was judged by the old one's data")
	}
}

// TestAuditsAreAskedForByTheLeader, at their interval.
func TestAuditsAreAskedForByTheLeader(t *testing.T) {
	for _, serving := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			r := newRing("a", "b")
			a := r["a"]
			a.k.opt.AuditInterval, a.serving = time.Minute, serving
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute+time.Second)
			defer cancel()
			a.k.audit(ctx)
			want := 0
			if serving {
				want = 3
			}
			if n := len(slices.DeleteFunc(a.done, func(s string) bool { return s != "audit" })); n != want {
				t.Errorf("serving %v: asked for %d", serving, n)
			}
		})
	}
}

// TestDataThatNobodyReadsAreReleased: they hold up the writer otherwise.
func TestDataThatNobodyReadsAreReleased(t *testing.T) {
	a := newRing("a", "b")["a"]
	list := []*store.Snapshot{someData().Freeze(), someData().Freeze()}
	for i, data := range list {
		a.k.Audited(uint64(70+i), data)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	a.k.dropAudits()
	a.k.audit(ctx)
	for i, data := range list {
		n := 0
		_ = data.Each(func(*store.Entry) error { n++; return nil })
		if n > 0 {
			t.Errorf("number %d is held", i)
		}
	}
}
