package fsm

import (
	"errors"
	"fmt"
	"io"

	"github.com/hashicorp/raft"
)

// ErrSuperseded is the error of Rebuild when Raft has restored a snapshot meanwhile.
var ErrSuperseded = errors.New("a snapshot was restored meanwhile")

// rebuildTail is how many entries may be left to apply when Rebuild stops the log for
// the rest.
const rebuildTail = 128

// Rebuild replaces a state that has gone wrong by that of another replica, which r
// holds as WriteState wrote it. What this replica has applied beyond it is applied
// again, from entry, which returns the log entry at an index. Replies and events of
// that are dropped: the clients of this replica had them, or are told that anything
// may have happened. It takes the memory of a second state meanwhile.
func (f *FSM) Rebuild(r io.Reader, entry func(index uint64) (*raft.Log, error)) error {
	restores := f.restores.Load()
	next, sound, err := f.read(r)
	if err != nil {
		return err
	}
	if !sound {
		return errors.New("the other replica's state does not come to the sum that it told")
	}
	done := next.index
	for done+rebuildTail < f.applied.Load() {
		if err := next.replay(done+1, done+rebuildTail, entry); err != nil {
			return err
		}
		done += rebuildTail
	}
	f.mu.Lock()
	if f.restores.Load() != restores {
		f.mu.Unlock()
		return ErrSuperseded
	}
	err = next.replay(done+1, f.index, entry)
	if err == nil {
		next.restored = f.restored // it has reached at least what this one had
		f.become(next)
	}
	reached := f.reached.Load()
	f.mu.Unlock()
	if err != nil {
		return err
	}
	f.waiters.wake(reached)
	if f.opt.OnLocks != nil {
		f.opt.OnLocks(next.index, nil)
	}
	return nil
}

// replay applies the commands of the given indexes. There are some without one.
func (f *FSM) replay(from, to uint64, entry func(index uint64) (*raft.Log, error)) error {
	for i := from; i <= to; i++ {
		l, err := entry(i)
		if err != nil {
			return fmt.Errorf("log entry %d: %w", i, err)
		}
		if l.Type != raft.LogCommand {
			continue
		}
		if _, err := f.applyLocked(l.Index, l.Term, l.Data); err != nil {
			return fmt.Errorf("log entry %d: %w", i, err)
		}
		f.locks.TakeEvents()
	}
	return nil
}
