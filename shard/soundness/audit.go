package soundness

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/lockstepkv/lockstep/fsm"
	"github.com/lockstepkv/lockstep/internal/clock"
	"github.com/lockstepkv/lockstep/store"
)

// audit is the data as of an index, to be read from first to last.
type audit struct {
	index uint64
	data  *store.Snapshot
	of    uint64 // fsm.Restores: which state's data
}

// audits are the notes of the newest audits of one state. A state that was restored or
// rebuilt is another.
type audits struct {
	mu    sync.Mutex
	of    uint64     // fsm.Restores; guarded by mu
	notes []fsm.Note // guarded by mu
}

func (a *audits) add(of uint64, n fsm.Note) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.of != of {
		a.of, a.notes = of, nil
	}
	if len(a.notes) == auditsKept {
		a.notes = a.notes[1:]
	}
	a.notes = append(a.notes, n)
}

func (a *audits) list(of uint64) []fsm.Note {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.of != of {
		return nil
	}
	return slices.Clone(a.notes)
}

// An audit works for auditWork and then pauses for auditPause: it takes a twentieth of
// a processor.
const (
	auditWork  = time.Millisecond
	auditPause = 19 * time.Millisecond
)

// audit reads what entries ask for, and asks for it itself when this node leads and the
// time has come.
func (k *Keeper) audit(ctx context.Context) {
	var due <-chan time.Time
	if k.opt.AuditInterval > 0 {
		t := time.NewTicker(k.opt.AuditInterval)
		defer t.Stop()
		due = t.C
	}
	for {
		select {
		case <-ctx.Done():
			k.dropAudits()
			return
		case <-due:
			if k.opt.Shard.Serving() {
				k.opt.Wants.WantAudit()
			}
		case a := <-k.auditing:
			k.walk(ctx, a)
		}
	}
}

// dropAudits lets go of what nobody will read.
func (k *Keeper) dropAudits() {
	for {
		select {
		case a := <-k.auditing:
			a.data.Release()
		default:
			return
		}
	}
}

func (k *Keeper) walk(ctx context.Context, a audit) {
	defer a.data.Release()
	started, began := time.Now(), time.Now()
	found, err := a.data.Audit(func() error {
		if time.Since(began) < auditWork {
			return nil
		}
		clock.Pause(ctx, auditPause)
		began = time.Now()
		return ctx.Err()
	})
	if err != nil || k.opt.State.Restores() != a.of {
		return
	}
	k.opt.Figures.Audited(time.Since(started))
	if found.Sum != a.data.Sum() {
		k.Condemn("its data do not come to the sum that was kept while they changed")
		return
	}
	k.audits.add(a.of, fsm.Note{Index: a.index, Data: found.Digest, State: uint64(found.Keys)})
}
