package shard

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"go.etcd.io/bbolt"
	bboltErrors "go.etcd.io/bbolt/errors"

	"github.com/lockstepkv/lockstep/fsm"
	"github.com/lockstepkv/lockstep/internal/disk"
	"github.com/lockstepkv/lockstep/shard/raftlog"
)

const (
	// MetaFile is the name of a node's metadata file in its data directory.
	MetaFile = "node.db"

	// metaFormat is the version of the data directory's layout as a whole.
	metaFormat = 1

	// metaLockTimeout is how long a start waits for the previous process on the
	// same directory to let go of it; a killed process lets go at once.
	metaLockTimeout = 2 * time.Second
)

var (
	// ErrDataDirInUse: another process has the data directory open.
	ErrDataDirInUse = errors.New("data directory is in use by another process")

	// ErrForeignData: the data directory belongs to another cluster, node,
	// number of shards or log engine than the one asked for.
	ErrForeignData = errors.New("data directory belongs to something else")

	// ErrDataFormat: the data directory was written by a version that this one
	// does not know, or is damaged beyond reading.
	ErrDataFormat = errors.New("data directory cannot be read by this version")
)

var (
	bucketNode       = []byte("node")
	bucketQuarantine = []byte("quarantine")
	bucketDiverged   = []byte("diverged")
	keyFormat        = []byte("format")
	keyIdentity      = []byte("identity")
	keyClusterID     = []byte("cluster-id")
	keyBoot          = []byte("boot")
)

// Meta is what a node knows about itself across restarts, kept in
// <data-dir>/node.db. While it is open no other process can open the directory.
// Every change is on disk (fsync) when its method returns. Safe for concurrent use.
type Meta struct {
	db       *bbolt.DB
	path     string // as it was opened
	identity Identity
	boot     uint64
	created  bool
}

// OpenMeta opens the metadata in dir, creating both at the first start, counts
// the boot by the time now and checks that the directory belongs to want. Its errors wrap
// ErrDataDirInUse, ErrForeignData or ErrDataFormat where one of them applies.
func OpenMeta(dir string, want Identity, now time.Time) (*Meta, error) {
	if err := want.validate(); err != nil {
		return nil, err
	}
	if err := disk.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("create data directory: %w", err)
	}
	path := filepath.Join(dir, MetaFile)
	_, err := os.Stat(path)
	switch {
	case err == nil:
		return openMetaFile(path, dir, want, now, false)
	case errors.Is(err, fs.ErrNotExist):
		return createMeta(path, dir, want, now)
	default:
		return nil, fmt.Errorf("open node metadata: %w", err)
	}
}

// createMeta fills a temporary file and renames it, so that node.db either does
// not exist or is complete, whenever the machine stops.
func createMeta(path, dir string, want Identity, now time.Time) (*Meta, error) {
	temporary := path + ".new"
	if err := refuseStrangeFiles(dir, filepath.Base(temporary)); err != nil {
		return nil, err
	}
	m, err := openMetaFile(temporary, dir, want, now, true)
	if errors.Is(err, ErrDataFormat) {
		// A first start that was cut short left half a file, under its lock no
		// longer: nothing was ever built on it.
		if err := os.Remove(temporary); err != nil {
			return nil, fmt.Errorf("remove half-written node metadata: %w", err)
		}
		m, err = openMetaFile(temporary, dir, want, now, true)
	}
	if err != nil {
		return nil, err
	}
	if err := disk.Rename(temporary, path); err != nil {
		return nil, errors.Join(fmt.Errorf("create node metadata: %w", err), m.Close())
	}
	return m, nil
}

// refuseStrangeFiles guards a directory whose node.db is gone: its logs would be
// taken for this node's own whatever they are.
func refuseStrangeFiles(dir, temporary string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("read data directory: %w", err)
	}
	for _, e := range entries {
		if e.Name() == temporary || e.Name() == "lost+found" || e.Name()[0] == '.' {
			continue
		}
		return fmt.Errorf("%w: %s holds %q but no %s; use an empty directory, or bring %s back from where it went",
			ErrForeignData, dir, e.Name(), MetaFile, MetaFile)
	}
	return nil
}

func openMetaFile(path, dir string, want Identity, now time.Time, mayCreate bool) (*Meta, error) {
	db, err := openBolt(path, dir, mayCreate, false)
	if err != nil {
		return nil, err
	}
	m := &Meta{db: db, path: path}
	if mayCreate {
		err = guardMeta(path, func() error { return db.Update(func(tx *bbolt.Tx) error { return m.first(tx, want) }) })
	}
	if err == nil {
		err = updateMeta(db, path, func(tx *bbolt.Tx) error { return m.start(tx, dir, want, now) })
	}
	if err != nil {
		return nil, errors.Join(err, closeBolt(db, path))
	}
	return m, nil
}

func openBolt(path, dir string, mayCreate, readOnly bool) (db *bbolt.DB, err error) {
	err = guardMeta(path, func() (err error) {
		if mayCreate {
			db, err = createBolt(path)
		} else {
			db, err = raftlog.OpenBolt(path, readOnly, metaLockTimeout)
		}
		return err
	})
	switch {
	case err == nil:
		return db, nil
	case errors.Is(err, raftlog.ErrLocked), errors.Is(err, bboltErrors.ErrTimeout):
		return nil, fmt.Errorf("%w: %s is locked; stop the other lockstep process or give this one another --data-dir", ErrDataDirInUse, dir)
	case errors.Is(err, ErrDataFormat):
		return nil, err
	case isSystemError(err):
		return nil, fmt.Errorf("open %s: %w", path, err)
	default:
		return nil, damagedMeta(path, "%v", err)
	}
}

func closeBolt(db *bbolt.DB, path string) error { return guardMeta(path, db.Close) }

// isSystemError tells an error of the operating system from what bbolt says of
// a file's contents, which it does not always do by a sentinel.
func isSystemError(err error) bool {
	var path *fs.PathError
	var errno syscall.Errno
	return errors.As(err, &path) || errors.As(err, &errno)
}

// first writes the identity if nothing was written yet.
func (m *Meta) first(tx *bbolt.Tx, want Identity) error {
	if tx.Bucket(bucketNode) != nil {
		return nil
	}
	m.created = true
	if err := errors.Join(writeFirst(tx, want), sealMeta(tx)); err != nil {
		return fmt.Errorf("write node metadata: %w", err)
	}
	return nil
}

// start checks the identity and counts the boot, all in one transaction.
func (m *Meta) start(tx *bbolt.Tx, dir string, want Identity, now time.Time) error {
	node := tx.Bucket(bucketNode)
	have, err := readIdentity(node, dir)
	if err != nil {
		return err
	}
	if err := have.match(want, dir); err != nil {
		return err
	}
	m.identity = have
	before, err := readCounter(node.Get(keyBoot))
	if err != nil {
		return damagedMeta(m.path, "start number: %v", err)
	}
	return m.setBoot(node, before, nextBoot(before, now), now)
}

// setBoot writes the number of this start, unless no clock can have made the one before it:
// all others would refuse what this node sends.
func (m *Meta) setBoot(node *bbolt.Bucket, before, boot uint64, now time.Time) error {
	if !plausibleBoot(before, now.UnixMilli()) || !plausibleBoot(boot, now.UnixMilli()) {
		return damagedMeta(m.path, "start number %d is a century ahead of the clock, %s", before, now.UTC().Format(time.RFC3339))
	}
	if err := node.Put(keyBoot, strconv.AppendUint(nil, boot, 10)); err != nil {
		return fmt.Errorf("write the number of this start: %w", err)
	}
	m.boot = boot
	return nil
}

// Identity is who this node is. The caller must not change its map.
func (m *Meta) Identity() Identity { return m.identity }

// ClusterID is the id of the cluster that the directory belongs to.
func (m *Meta) ClusterID() string { return m.identity.ClusterID() }

// nextBoot numbers a start of the process: higher than every earlier start of
// this node, those included whose directory was lost or has been replaced by an
// older copy, for the replicas remember the node's batches under the number. So
// it is not a mere counter but the time in milliseconds, with 20 random bits
// below it.
func nextBoot(previous uint64, now time.Time) uint64 {
	return max(previous+1, uint64(now.UnixMilli())<<fsm.BootBits|rand.Uint64()>>(64-fsm.BootBits))
}

// RaiseBoot makes this start's number, and those of all to come, higher than known.
// It refuses a number that no clock can have made by the time now.
func (m *Meta) RaiseBoot(known uint64, now time.Time) error {
	if m.boot > known {
		return nil
	}
	if !plausibleBoot(known, now.UnixMilli()) || !plausibleBoot(known+1, now.UnixMilli()) {
		return fmt.Errorf("start number %d is a century ahead of the clock, %s", known, now.UTC().Format(time.RFC3339))
	}
	return updateMeta(m.db, m.path, func(tx *bbolt.Tx) error { return m.setBoot(tx.Bucket(bucketNode), known, known+1, now) })
}

// Boot counts the starts of this node, from 1. No two processes that ever ran on
// this directory had the same one.
func (m *Meta) Boot() uint64 { return m.boot }

// Created reports whether this start was the first on the directory.
func (m *Meta) Created() bool { return m.created }

// Quarantined reports whether the shard's replica here has lost its log and must
// not vote until it has caught up.
func (m *Meta) Quarantined(shard int) (bool, error) { return m.marked(bucketQuarantine, shard) }

// SetQuarantine records whether the shard's replica here may vote.
func (m *Meta) SetQuarantine(shard int, on bool) error { return m.mark(bucketQuarantine, shard, !on) }

// Diverged reports whether the state of the shard's replica here was found to be wrong,
// and was not rebuilt since.
func (m *Meta) Diverged(shard int) (bool, error) { return m.marked(bucketDiverged, shard) }

// SetDiverged records whether it is.
func (m *Meta) SetDiverged(shard int, on bool) error { return m.mark(bucketDiverged, shard, !on) }

func (m *Meta) marked(bucket []byte, shard int) (bool, error) {
	var on bool
	err := viewMeta(m.db, m.path, func(tx *bbolt.Tx) error {
		on = tx.Bucket(bucket).Get(shardKey(shard)) != nil
		return nil
	})
	if err != nil {
		return false, fmt.Errorf("read %s of shard %d: %w", bucket, shard, err)
	}
	return on, nil
}

func (m *Meta) mark(bucket []byte, shard int, gone bool) error {
	if shard < 0 || shard >= m.identity.Shards {
		return fmt.Errorf("write %s: no shard %d, there are %d", bucket, shard, m.identity.Shards)
	}
	err := updateMeta(m.db, m.path, func(tx *bbolt.Tx) error {
		b := tx.Bucket(bucket)
		if gone {
			return b.Delete(shardKey(shard))
		}
		return b.Put(shardKey(shard), []byte{1})
	})
	if err != nil {
		return fmt.Errorf("write %s of shard %d: %w", bucket, shard, err)
	}
	return nil
}

func shardKey(shard int) []byte { return strconv.AppendInt(nil, int64(shard), 10) }

// Close lets go of the directory.
func (m *Meta) Close() error {
	if err := closeBolt(m.db, m.path); err != nil {
		return fmt.Errorf("close node metadata: %w", err)
	}
	return nil
}

// ReadIdentity tells whose data dir holds, for tools that work on the data of a
// stopped node. It counts no boot and fails with ErrDataDirInUse while the node runs.
func ReadIdentity(dir string) (Identity, error) {
	path := filepath.Join(dir, MetaFile)
	if _, err := os.Stat(path); err != nil {
		return Identity{}, fmt.Errorf("no node's data in %s: %w", dir, err)
	}
	db, err := openBolt(path, dir, false, true)
	if err != nil {
		return Identity{}, err
	}
	var id Identity
	err = viewMeta(db, path, func(tx *bbolt.Tx) (err error) {
		id, err = readIdentity(tx.Bucket(bucketNode), dir)
		return err
	})
	return id, errors.Join(err, closeBolt(db, path))
}
