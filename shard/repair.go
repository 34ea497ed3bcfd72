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

	"github.com/lockstepkv/lockstep/internal/clock"
	"github.com/lockstepkv/lockstep/internal/disk"
	"github.com/lockstepkv/lockstep/shard/raftlog"
	"github.com/lockstepkv/lockstep/snapshot"
	"github.com/lockstepkv/lockstep/snapshot/rdb"
	"github.com/lockstepkv/lockstep/transport"
)

// A replica that lost its log, its snapshots or its whole directory has lost
// promises too: the entries that it acknowledged and the terms that it voted
// in. Raft has no word for that; such a replica could elect a leader without
// entries that are committed. So it is put in quarantine:
//
//   - Before Raft starts, it asks every other voter for its term and takes the
//     highest, so that it acknowledges nothing to a leader that was deposed with
//     the help of a vote that it forgot. Every other voter must answer: any one
//     of them may be the leader that the forgotten vote elected.
//   - It neither votes nor campaigns nor confirms leaders until it holds
//     everything that was committed when it asked the leader for an index.
//
// A node that starts with an empty directory cannot tell a new cluster from an
// old one whose data it lost; it asks the others (admission). All of them must
// answer: a majority without the one that holds the data would found a second
// cluster over it.

// seniority is what a voter knows of a group, told to a replica that knows nothing.
type seniority struct {
	Established bool   `json:"established"` // the group has elected a leader or logged something
	Term        uint64 `json:"term"`
	Boot        uint64 `json:"boot"` // the newest start of the asking node that is known
}

const admissionPoll = 100 * time.Millisecond

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
	if err := g.admit(ctx, n); err != nil {
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

// setQuarantine turns the quarantine of this replica on or off, for good.
func (g *Group) setQuarantine(on bool) error {
	if err := g.meta.SetQuarantine(int(g.id), on); err != nil {
		return err
	}
	g.quarantined.Store(on)
	g.wire.SetVoting(!on)
	return nil
}

// admit decides whether a replica may vote.
func (g *Group) admit(ctx context.Context, n *Node) error {
	on, err := n.meta.Quarantined(int(g.id))
	if err != nil {
		return err
	}
	g.quarantined.Store(on)
	g.wire.SetVoting(!on)
	has, err := raft.HasExistingState(g.log, g.log, g.snapshots)
	if err != nil || has || g.voters.now().alone() {
		return err
	}
	n.admitting(g.id, on)
	asked := g.clock.Mono()
	for {
		known, err := g.poll(ctx)
		if err != nil {
			return err
		}
		if len(known) == len(g.voters.now().others) {
			if err := n.outnumber(known); err != nil {
				return err
			}
			established, term := judge(known, on)
			if !established {
				return nil
			}
			if err := g.setQuarantine(true); err != nil {
				return err
			}
			g.logger.Warn("this replica is empty but the shard is not new; it gets no vote until it has caught up", "term", term)
			return g.log.SetUint64([]byte("CurrentTerm"), term)
		}
		n.waitsForOthers(g.clock.Mono() - asked)
		clock.Pause(ctx, admissionPoll)
		if ctx.Err() != nil {
			return fmt.Errorf("the other nodes did not answer: %w", context.Cause(ctx))
		}
	}
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
func (n *Node) outnumber(known []seniority) error {
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

// poll asks the other voters what they know of the group.
func (g *Group) poll(ctx context.Context) ([]seniority, error) {
	var known []seniority
	for _, peer := range g.voters.now().others {
		cctx, cancel := context.WithTimeout(ctx, time.Second)
		reply, err := g.net.Call(cctx, peer, methodAdmission, appendGroup(nil, g.id))
		cancel()
		if err != nil {
			continue
		}
		s, err := decodeSeniority(reply, g.clock.WallMillis())
		if err != nil {
			return nil, err
		}
		known = append(known, s)
	}
	return known, nil
}

// decodeSeniority reads a peer's answer. This node has nothing of the group, so its own
// term is 0. A start number that cannot be counts as none: what others remember must not keep
// this node from joining them.
func decodeSeniority(reply []byte, wallMillis int64) (s seniority, err error) {
	if err := json.Unmarshal(reply, &s); err != nil {
		return s, fmt.Errorf("%w: %w", errMalformedMessage, err)
	}
	if !transport.PlausibleTerm(0, s.Term) {
		return s, fmt.Errorf("%w: term %d", errMalformedMessage, s.Term)
	}
	if !plausibleBoot(s.Boot, wallMillis) {
		s.Boot = 0
	}
	return s, nil
}

// judge decides from the answers of all other voters whether the group exists
// already, and which is the highest term that anybody knows.
func judge(known []seniority, lost bool) (established bool, term uint64) {
	established, term = lost, 1
	for _, s := range known {
		established = established || s.Established
		term = max(term, s.Term)
	}
	return established, term
}

// admitting notes that this node asks the others about a group of which it has
// nothing itself; damaged tells that it once had.
func (n *Node) admitting(id uint32, damaged bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.empty[id] = seniority{Established: damaged}
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
