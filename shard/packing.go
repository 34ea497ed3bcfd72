package shard

import (
	"fmt"
	"time"

	"github.com/hashicorp/raft"

	"github.com/lockstepkv/lockstep/fsm"
	"github.com/lockstepkv/lockstep/shard/batch"
	"github.com/lockstepkv/lockstep/shard/session"
)

// newPacker returns the packer of a replica that has its session and its Raft.
func newPacker(g *Group) *batch.Packer {
	return batch.New(batch.Options{
		Session: g.session, Shard: packing{g}, State: g.fsm, Log: appender{g.raft, g.raftDown},
		Followers: g.wire, Disks: disksOf{g}, ValueLimit: g.opt.MaxValueBytes,
	})
}

// packing is what the packer asks of its replica.
type packing struct{ g *Group }

// Leading implements batch.Shard.
func (p packing) Leading() (term uint64) {
	if p.g.keeper.Unread() {
		return 0
	}
	return p.g.serving.Load()
}

// MayAcknowledge implements batch.Shard.
func (p packing) MayAcknowledge(term uint64) bool { return p.g.mayAcknowledge(term) }

// Stamp implements batch.Shard.
func (p packing) Stamp() fsm.Stamp { return p.g.stamp() }

// MemoryLimit implements batch.Shard.
func (p packing) MemoryLimit() (bytes int64, evicts bool) { return p.g.memoryLimit() }

// Settings implements batch.Shard.
func (p packing) Settings() []fsm.SettingChange { return p.g.settingsToPropose() }

// Plausible implements batch.Shard.
func (p packing) Plausible(e *fsm.Entry) bool {
	err := plausibleEntry(e, p.g.clock.WallMillis())
	if err != nil {
		p.g.opt.Fatal(fmt.Errorf("shard %d: an entry that must not reach the log: %w", p.g.id, err))
	}
	return err == nil
}

// Logged implements batch.Shard.
func (p packing) Logged(took time.Duration, units, batches int) {
	p.g.metrics.entry(took, units, batches)
}

// enqueueTimeout bounds how long Raft's main loop may take to accept an entry.
// It blocks on the leader's disk, so this is generous; the watchdog looks after
// a disk that hangs.
const enqueueTimeout = 10 * time.Second

// appender has entries logged.
type appender struct {
	raft *raft.Raft
	down <-chan struct{} // closed when Raft has stopped
}

// Append implements batch.Log.
func (a appender) Append(data []byte) raft.ApplyFuture { return a.raft.Apply(data, enqueueTimeout) }

// LastIndex implements batch.Log.
func (a appender) LastIndex() uint64 { return a.raft.LastIndex() }

// Await implements batch.Log.
func (a appender) Await(f raft.Future) error { return await(f, a.down) }

func (g *Group) await(f raft.Future) error { return await(f, g.raftDown) }

// await waits for one of Raft's futures. A Raft that is shut down may never
// answer one whose entry was committed but not applied.
func await(f raft.Future, down <-chan struct{}) error {
	done := make(chan error, 1)
	go func() { done <- f.Error() }()
	select {
	case err := <-done:
		return err
	case <-down:
		return session.ErrDoubt
	}
}

// lenders have this node's large batches, and those that others sent, in memory.
type lenders struct {
	session *session.Session
	packer  *batch.Packer
}

// lend tells where this node has the units of a large batch in memory; nobody has while the
// log is read again at the start.
func (g *Group) lend(node string, boot, seq uint64) [][]byte {
	switch l := g.lending.Load(); {
	case l == nil:
		return nil
	case node == fsm.LargeBatches(g.self):
		return l.session.Lend(boot, seq)
	default:
		return l.packer.Lend(node, boot, seq)
	}
}

// disksOf is what a shard's session and its packer ask about room.
type disksOf struct{ g *Group }

// Tight implements batch.Disks.
func (d disksOf) Tight() bool { return d.g.room() != roomy }

// Full implements batch.Disks.
func (d disksOf) Full() bool { return d.g.room() == noneLeft }

// Frees implements batch.Disks.
func (d disksOf) Frees(b *fsm.Batch) bool { return d.g.opt.Table.FreesAll(b.Parts, b.Body) }

// Ask implements batch.Disks.
func (d disksOf) Ask(bytes int64, frees bool) bool {
	if frees {
		return d.g.ask(bytes, keepsFrees)
	}
	return d.g.ask(bytes, keepsAny)
}

// Answered implements batch.Disks.
func (d disksOf) Answered(bytes int64) { d.g.node.answered(bytes) }

// fits implements session.Disks.
func (d disksOf) Fits(b *fsm.Batch) bool {
	part := int64(keepsAny)
	switch {
	case d.g.opt.Table.FreesAll(b.Parts, b.Body):
		part = keepsFrees
	case d.g.room() == noneLeft:
		return false
	}
	leader := d.g.Leader()
	return leader == "" || d.g.spare(leader, part) >= int64(b.UnitBytes()) // else it waits for a leader
}

// restsNow implements session.Disks.
func (d disksOf) RestsNow(b *fsm.Batch, first bool) {
	for range b.Units {
		d.g.metrics.refused()
	}
	if first {
		d.g.logger.Error("a write in doubt waits until there is room on disks; others pass it",
			"batch", b.Seq, "bytes", b.UnitBytes(), "commands", b.Units)
	}
}
