package shard

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/hashicorp/raft"

	"github.com/lockstepkv/lockstep/internal/disk"
	"github.com/lockstepkv/lockstep/shard/quarantine"
	"github.com/lockstepkv/lockstep/shard/raftlog"
	"github.com/lockstepkv/lockstep/snapshot"
	"github.com/lockstepkv/lockstep/snapshot/rdb"
	"github.com/lockstepkv/lockstep/transport"
)

// What is damaged is set aside, and the replica starts anew in quarantine: see package quarantine.

var errNotOpen = errors.New("this node is still opening the shard")

// openStores opens the log and the snapshots of a replica. When they are damaged
// and there are other replicas, the damaged files are set aside and the replica
// starts anew, in quarantine.
func (g *Group) openStores(ctx context.Context, n *Node, dir string) error {
	err := g.tryStores(dir)
	if err != nil && isCorrupt(err) {
		if g.voters.now().alone() {
			return fmt.Errorf("%w; there is no other replica to repair it from: restore a backup, or keep what is left of %s and start with an empty directory", err, dir)
		}
		g.logger.Error("this replica is damaged; it will be repaired from the others", "error", err)
		if err := g.setAside(n, dir); err != nil {
			return err
		}
		err = g.tryStores(dir)
	}
	if err != nil {
		return err
	}
	has, err := raft.HasExistingState(g.log, g.log, g.snapshots)
	if err == nil {
		err = g.guard.Admit(ctx, has)
	}
	if err != nil {
		return errors.Join(err, g.log.Close())
	}
	return nil
}

func (g *Group) tryStores(dir string) error {
	snapshots, err := snapshot.NewStore(filepath.Join(dir, "snapshots"), 2, g.logger)
	if err != nil {
		return err
	}
	if err := snapshots.Verify(); err != nil {
		return err
	}
	log, err := g.opt.openLog(raftlog.Options{
		Dir: filepath.Join(dir, "log"), Engine: g.opt.LogEngine, CacheBudget: g.node.logCache,
		SegmentBytes: segmentBytes(g.opt.Shards), Free: g.opt.diskFree,
		StallTimeout: g.opt.DiskStallTimeout, Logger: g.logger,
		OnStall: func(op string, since time.Duration) {
			g.opt.Fatal(fmt.Errorf("shard %d: the disk has not finished %s for %v", g.id, op, since))
		},
		Observe: g.metrics.disk,
	})
	if err != nil {
		return err
	}
	g.log, g.snapshots = log, snapshots
	return nil
}

// isCorrupt tells damaged files from those that cannot be read now or were
// written by a newer version.
func isCorrupt(err error) bool {
	var inLog *raftlog.CorruptError
	return errors.As(err, &inLog) || errors.Is(err, rdb.ErrDamaged)
}

// setAside moves a damaged replica out of the way; its files may still tell what
// happened. The quarantine is noted first: a crash in between must not bring the
// replica back with a vote.
func (g *Group) setAside(n *Node, dir string) error {
	if err := n.meta.SetQuarantine(int(g.id), true); err != nil {
		return err
	}
	aside := fmt.Sprintf("%s.damaged-%d", dir, n.opt.Boot)
	if err := disk.Rename(dir, aside); err != nil {
		return err
	}
	g.logger.Warn("damaged files set aside", "directory", aside)
	return disk.MkdirAll(filepath.Join(dir, "log"), 0o700)
}

// othersGrace is how long the other nodes may stay away from the first start of one before
// its log tells: they are started one after the other.
const othersGrace = 3 * time.Second

// waitsForOthers tells who keeps this node, which has nothing of a shard, from starting: in
// the log once.
func (n *Node) waitsForOthers(since time.Duration) {
	missing := n.missing()
	if len(missing) == 0 {
		n.waitsFor("all nodes are connected and have yet to answer")
		return
	}
	n.waitsFor("a node without data needs the answer of all others first; not connected: " + strings.Join(missing, ", "))
	if since < othersGrace || n.toldMissing {
		return
	}
	n.toldMissing = true
	n.opt.Logger.Warn("this node has no data and waits until it has asked all others whether it is new", "missing", strings.Join(missing, ","))
}

// outnumber gives this start a higher number than any that the others know: the
// replicas would take its batches for those of an earlier life. A node that lost
// its directory numbers its starts by its clock, which may have been set back.
func (n *Node) outnumber(known []quarantine.Admission) error {
	for _, s := range known {
		if s.Boot >= n.opt.Boot {
			if err := n.meta.RaiseBoot(s.Boot, time.UnixMilli(n.opt.Clock.WallMillis())); err != nil {
				return err
			}
			n.opt.Boot = n.meta.Boot()
		}
	}
	return nil
}

// outlived is called when a shard knows a later start of this node than this one.
// Another process runs under its id, or this one's data is an older copy, or a number that
// no clock can have made stood in the way until now: what it sends is refused, so it
// ends, and takes a higher number when it is started again.
func (g *Group) outlived() {
	err := g.meta.RaiseBoot(g.fsm.BootOf(g.self), time.UnixMilli(g.clock.WallMillis()))
	g.opt.Fatal(errors.Join(fmt.Errorf("shard %d knows a later start of node %s: another process has its id, or its data is an older copy; the next start takes a higher number", g.id, g.self), err))
}

// decodeAdmission reads a peer's answer. This node has nothing of the group, so its own
// term is 0. A start number that cannot be counts as none: what others remember must not keep
// this node from joining them.
func decodeAdmission(reply []byte, wallMillis int64) (s quarantine.Admission, err error) {
	if err := json.Unmarshal(reply, &s); err != nil {
		return s, fmt.Errorf("%w: %w", quarantine.ErrMalformed, err)
	}
	if !transport.PlausibleTerm(0, s.Term) {
		return s, fmt.Errorf("%w: term %d", quarantine.ErrMalformed, s.Term)
	}
	if !plausibleBoot(s.Boot, wallMillis) {
		s.Boot = 0
	}
	return s, nil
}

// admitting notes that this node asks the others about a group of which it has
// nothing itself; damaged tells that it once had.
func (n *Node) admitting(id uint32, damaged bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.empty[id] = quarantine.Admission{Established: damaged}
}

// answerAdmission tells another voter what this node knows of a group.
func (n *Node) answerAdmission(_ context.Context, peer string, req []byte) ([]byte, error) {
	id, _, err := cutUvarint(req)
	if err != nil {
		return nil, err
	}
	n.mu.RLock()
	s, known := n.empty[uint32(id)]
	n.mu.RUnlock()
	groups := n.Groups()
	for _, g := range groups {
		s.Boot = max(s.Boot, g.fsm.BootOf(peer))
	}
	if g := n.group(id); g != nil {
		s.Term = g.raft.CurrentTerm()
		s.Established = s.Established || s.Term > 1 || g.raft.LastIndex() > 1
	} else if !known {
		return nil, errNotOpen
	}
	return json.Marshal(s)
}
