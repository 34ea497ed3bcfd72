package shard

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/bbolt"

	"github.com/lockstepkv/lockstep/internal/disk"
	"github.com/lockstepkv/lockstep/shard/raftlog"
	"github.com/lockstepkv/lockstep/snapshot"
)

// Errors of PlanRecovery.
var (
	// ErrNotRecoverable: the source is no whole replica of the target's cluster.
	ErrNotRecoverable = errors.New("cannot recover from this data")
	// ErrTargetWhole: the target's replicas look sound and have their votes.
	ErrTargetWhole = errors.New("the node to be recovered looks whole")
)

// ReplicaState is what a stopped node has of a shard.
type ReplicaState struct {
	Shard         int
	Quarantined   bool // it has lost data before, and has no vote
	Diverged      bool // its state was found to differ from the others'
	SnapshotIndex uint64
	LastIndex     uint64 // of log or snapshot
	Err           error  // it cannot be read; the indexes are unknown
}

// Whole reports whether the replica may lead.
func (s ReplicaState) Whole() bool {
	return s.Err == nil && !s.Quarantined && !s.Diverged && s.LastIndex > 0
}

// Recovery replaces the replicas of a node by copies of another node's, when so
// many replicas are damaged that no majority has its votes. Raft cannot help then:
// what only the damaged ones had acknowledged is lost, and somebody has to say so.
//
// Both nodes must be stopped. The copy has the source's log, term and vote, so the two
// cannot contradict each other; what the source had not known to be committed
// becomes so, for a majority has it.
type Recovery struct {
	Source, Target             string // data directories
	SourceNode, TargetNode     string
	SourceShards, TargetShards []ReplicaState

	identity Identity // of the target
}

// PlanRecovery looks at both directories and changes nothing. node names the target
// if its directory has no identity; force takes one whose replicas look whole.
func PlanRecovery(source, target, node string, force bool, logger *slog.Logger) (*Recovery, error) {
	from, err := ReadIdentity(source)
	if err != nil {
		return nil, err
	}
	to := from
	switch id, err := ReadIdentity(target); {
	case err == nil && node != "" && node != id.NodeID:
		return nil, fmt.Errorf("%w: %s belongs to node %s", ErrForeignData, target, id.NodeID)
	case err == nil:
		to = id
	case !errors.Is(err, fs.ErrNotExist):
		return nil, err
	case node == "":
		return nil, fmt.Errorf("%w: %s does not say whose it is; name the node", ErrNotRecoverable, target)
	default:
		to.NodeID = node
	}
	if err := to.validate(); err != nil {
		return nil, err
	}
	switch {
	case from.ClusterID() != to.ClusterID():
		return nil, fmt.Errorf("%w: %s is of cluster %s, %s of cluster %s", ErrNotRecoverable, source, from.ClusterID(), target, to.ClusterID())
	case from.NodeID == to.NodeID:
		return nil, fmt.Errorf("%w: both directories are node %s", ErrNotRecoverable, to.NodeID)
	case from.LogEngine != to.LogEngine:
		return nil, fmt.Errorf("%w: node %s has log engine %s, node %s %s", ErrNotRecoverable, from.NodeID, from.LogEngine, to.NodeID, to.LogEngine)
	}
	r := &Recovery{Source: source, Target: target, SourceNode: from.NodeID, TargetNode: to.NodeID, identity: to}
	if r.SourceShards, err = replicaStates(source, from.Shards, logger); err != nil {
		return nil, err
	}
	if r.TargetShards, err = replicaStates(target, to.Shards, logger); err != nil {
		return nil, err
	}
	whole := true
	for i, s := range r.SourceShards {
		if s.Err != nil {
			return nil, fmt.Errorf("%w: shard %d of node %s is damaged: %w", ErrNotRecoverable, i, r.SourceNode, s.Err)
		}
		if !s.Whole() {
			return nil, fmt.Errorf("%w: shard %d of node %s is empty, has lost data itself, or differs from the others", ErrNotRecoverable, i, r.SourceNode)
		}
		whole = whole && r.TargetShards[i].Whole()
	}
	if whole && !force {
		return nil, fmt.Errorf("%w: node %s", ErrTargetWhole, r.TargetNode)
	}
	return r, nil
}

func replicaStates(dataDir string, shards int, logger *slog.Logger) ([]ReplicaState, error) {
	list := make([]ReplicaState, shards)
	for i := range list {
		list[i] = replicaState(dataDir, i, logger)
	}
	path := filepath.Join(dataDir, MetaFile)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return list, nil
	}
	db, err := openBolt(path, dataDir, false, true)
	if err != nil {
		return nil, err
	}
	err = viewMeta(db, path, func(tx *bbolt.Tx) error {
		for i := range list {
			list[i].Quarantined = tx.Bucket(bucketQuarantine).Get(shardKey(i)) != nil
			list[i].Diverged = tx.Bucket(bucketDiverged).Get(shardKey(i)) != nil
		}
		return nil
	})
	return list, errors.Join(err, closeBolt(db, path))
}

// replicaState verifies what there is of a shard.
func replicaState(dataDir string, shard int, logger *slog.Logger) (s ReplicaState) {
	s.Shard = shard
	dir := groupDir(dataDir, uint32(shard))
	if _, err := os.Stat(filepath.Join(dir, "log")); err != nil {
		s.Err = err
		return s
	}
	snapshots, err := snapshot.NewStore(filepath.Join(dir, "snapshots"), 2, logger)
	if err == nil {
		err = snapshots.Verify()
	}
	if s.Err = err; err != nil {
		return s
	}
	if list, err := snapshots.List(); err != nil {
		s.Err = err
		return s
	} else if len(list) > 0 {
		s.SnapshotIndex = list[0].Index
	}
	log, err := raftlog.OpenReader(filepath.Join(dir, "log"))
	if s.Err = err; err != nil {
		return s
	}
	s.LastIndex = max(log.LastIndex(), s.SnapshotIndex)
	s.Err = log.Close()
	return s
}

// Run replaces the target's replicas. What it had is kept beside, in directories whose
// names end in ".damaged-" and a time. Cut short, it may be run again.
func (r *Recovery) Run() error {
	meta, err := OpenMeta(r.Target, r.identity, time.Now())
	if err != nil {
		return err
	}
	for i := range r.SourceShards {
		if err := r.replace(meta, i); err != nil {
			return errors.Join(fmt.Errorf("shard %d: %w", i, err), meta.Close())
		}
	}
	return meta.Close()
}

func (r *Recovery) replace(meta *Meta, shard int) error {
	// Until the copy is complete the replica must not vote.
	if err := meta.SetQuarantine(shard, true); err != nil {
		return err
	}
	dir := groupDir(r.Target, uint32(shard))
	part := dir + ".recovering"
	if err := os.RemoveAll(part); err != nil {
		return err
	}
	if err := copyTree(groupDir(r.Source, uint32(shard)), part); err != nil {
		return err
	}
	if _, err := os.Stat(dir); err == nil {
		if err := disk.Rename(dir, fmt.Sprintf("%s.damaged-%d", dir, time.Now().UnixMilli())); err != nil {
			return err
		}
	}
	if err := disk.Rename(part, dir); err != nil {
		return err
	}
	return errors.Join(meta.SetDiverged(shard, false), meta.SetQuarantine(shard, false))
}

// copyTree copies a directory, durably.
func copyTree(from, to string) error {
	if err := disk.MkdirAll(to, 0o700); err != nil {
		return err
	}
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, rel)
		if d.IsDir() {
			return disk.MkdirAll(target, 0o700)
		}
		return copyFile(path, target)
	})
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	if err == nil {
		err = out.Sync()
	}
	return errors.Join(err, out.Close(), disk.SyncDir(filepath.Dir(to)))
}
