package shard

import (
	"errors"
	"log/slog"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"
)

// metaWithMarks makes a data directory with a replica in quarantine and a diverged one.
func metaWithMarks(t *testing.T) (dir string, boot uint64) {
	t.Helper()
	dir = t.TempDir()
	m := mustOpenMeta(t, dir, testIdentity())
	if err := errors.Join(m.SetQuarantine(1, true), m.SetDiverged(2, true), m.Close()); err != nil {
		t.Fatal(err)
	}
	return dir, m.Boot()
}

// behindTheSum changes node.db past its checksum.
func behindTheSum(t *testing.T, dir string, change func(*bbolt.Tx) error) {
	t.Helper()
	db, err := bbolt.Open(filepath.Join(dir, MetaFile), 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(db.Update(change), db.Close()); err != nil {
		t.Fatal(err)
	}
}

// mustBeDamage wants every way to read node.db to end with one sentence of advice.
func mustBeDamage(t *testing.T, dir string) {
	t.Helper()
	_, opened := OpenMeta(dir, testIdentity(), time.Now())
	_, read := ReadIdentity(dir)
	_, recovered := replicaStates(dir, 4, slog.New(slog.DiscardHandler))
	for name, err := range map[string]error{"OpenMeta": opened, "ReadIdentity": read, "recover": recovered} {
		if !errors.Is(err, ErrDataFormat) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, word := range []string{filepath.Join(dir, MetaFile), "is damaged", "empty --data-dir"} {
			if !strings.Contains(err.Error(), word) {
				t.Errorf("%s: %q does not say %q", name, err, word)
			}
		}
	}
}

func TestMetaNoticesWhatChangedByItself(t *testing.T) {
	for name, change := range map[string]func(*bbolt.Tx) error{
		"a bit of the start number": func(tx *bbolt.Tx) error {
			b := tx.Bucket(bucketNode)
			boot := append([]byte(nil), b.Get(keyBoot)...)
			boot[0] ^= 8
			return b.Put(keyBoot, boot)
		},
		"no quarantine bucket":   func(tx *bbolt.Tx) error { return tx.DeleteBucket(bucketQuarantine) },
		"no quarantine key":      func(tx *bbolt.Tx) error { return tx.Bucket(bucketQuarantine).Delete(shardKey(1)) },
		"another quarantine key": func(tx *bbolt.Tx) error { return tx.Bucket(bucketQuarantine).Put(shardKey(3), []byte{1}) },
		"no diverged bucket":     func(tx *bbolt.Tx) error { return tx.DeleteBucket(bucketDiverged) },
		"no diverged key":        func(tx *bbolt.Tx) error { return tx.Bucket(bucketDiverged).Delete(shardKey(2)) },
		"no identity":            func(tx *bbolt.Tx) error { return tx.DeleteBucket(bucketNode) },
		"no sum":                 func(tx *bbolt.Tx) error { return tx.DeleteBucket(bucketSum) },
	} {
		t.Run(name, func(t *testing.T) {
			dir, _ := metaWithMarks(t)
			behindTheSum(t, dir, change)
			mustBeDamage(t, dir)
		})
	}
}

// TestMetaChecksWhatItReadsWhileOpen: the sum is verified by every transaction.
func TestMetaChecksWhatItReadsWhileOpen(t *testing.T) {
	m := mustOpenMeta(t, t.TempDir(), testIdentity())
	if err := m.db.Update(func(tx *bbolt.Tx) error { return tx.DeleteBucket(bucketQuarantine) }); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Quarantined(1); !errors.Is(err, ErrDataFormat) {
		t.Errorf("Quarantined: %v", err)
	}
	if err := m.SetDiverged(1, true); !errors.Is(err, ErrDataFormat) {
		t.Errorf("SetDiverged: %v", err)
	}
}

// TestMetaRefusesItsOwnImplausibleStart: peers would refuse everything that such a node sends.
func TestMetaRefusesItsOwnImplausibleStart(t *testing.T) {
	now := time.Now()
	for name, boot := range map[string]uint64{"two centuries ahead": nextBoot(0, now.AddDate(200, 0, 0)), "last": math.MaxUint64} {
		dir := t.TempDir()
		m := mustOpenMeta(t, dir, testIdentity())
		if err := m.RaiseBoot(boot, now); err == nil {
			t.Errorf("%s: taken from others", name)
		}
		err := updateMeta(m.db, m.path, func(tx *bbolt.Tx) error {
			return tx.Bucket(bucketNode).Put(keyBoot, strconv.AppendUint(nil, boot, 10))
		})
		if err := errors.Join(err, m.Close()); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenMeta(dir, testIdentity(), now); !errors.Is(err, ErrDataFormat) || !strings.Contains(err.Error(), "start number") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestMetaBitFlips: whichever bit of node.db changes, its values are the same or an error is
// returned, and nothing panics.
func TestMetaBitFlips(t *testing.T) {
	dir, boot := metaWithMarks(t)
	sound, err := os.ReadFile(filepath.Join(dir, MetaFile))
	if err != nil {
		t.Fatal(err)
	}
	var used []int // where bytes are, for most of the file is empty
	for i, b := range sound {
		if b != 0 {
			used = append(used, i)
		}
	}
	damaged, random := 0, rand.New(rand.NewPCG(1, 2))
	for i := range 600 {
		at := random.IntN(len(sound))
		if i%2 == 0 {
			at = used[random.IntN(len(used))]
		}
		dir, bit := t.TempDir(), byte(1)<<random.IntN(8)
		changed := append([]byte(nil), sound...)
		changed[at] ^= bit
		if err := os.WriteFile(filepath.Join(dir, MetaFile), changed, 0o600); err != nil {
			t.Fatal(err)
		}
		if !readsSame(t, dir, boot) {
			damaged++
		}
		if t.Failed() {
			t.Fatalf("bit %#x of byte %d", bit, at)
		}
	}
	if damaged < 50 {
		t.Errorf("only %d of the flips were noticed", damaged)
	}
}

// readsSame reads node.db in every way; false if one returns an error.
func readsSame(t *testing.T, dir string, boot uint64) bool {
	t.Helper()
	want := testIdentity()
	id, readErr := ReadIdentity(dir)
	if readErr == nil && (id.match(want, dir) != nil) {
		t.Errorf("identity %+v", id)
	}
	states, recoverErr := replicaStates(dir, want.Shards, slog.New(slog.DiscardHandler))
	for _, s := range states {
		if recoverErr == nil && (s.Quarantined != (s.Shard == 1) || s.Diverged != (s.Shard == 2)) {
			t.Errorf("state %+v", s)
		}
	}
	now := time.Now()
	m, err := OpenMeta(dir, want, now)
	if err != nil {
		if !errors.Is(err, ErrDataFormat) {
			t.Errorf("OpenMeta: %v", err)
		}
		return false
	}
	if m.Boot() <= boot || m.Boot() > nextBoot(0, now.Add(time.Second)) {
		t.Errorf("start %d after %d", m.Boot(), boot)
	}
	for shard := range want.Shards {
		quarantined, err1 := m.Quarantined(shard)
		diverged, err2 := m.Diverged(shard)
		if err := errors.Join(err1, err2); err != nil || quarantined != (shard == 1) || diverged != (shard == 2) {
			t.Errorf("shard %d: quarantined %v, diverged %v, %v", shard, quarantined, diverged, err)
		}
	}
	if err := m.Close(); err != nil {
		t.Error(err)
	}
	return errors.Join(readErr, recoverErr) == nil
}
