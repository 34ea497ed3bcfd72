package shard

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"
)

func testIdentity() Identity {
	return Identity{
		ClusterName: "lockstep",
		NodeID:      "n1",
		Members:     map[string]string{"n1": "127.0.0.1:9001", "n2": "127.0.0.1:9002", "n3": "127.0.0.1:9003"},
		Shards:      4,
		LogEngine:   "wal",
	}
}

func mustOpenMeta(t *testing.T, dir string, id Identity) *Meta {
	t.Helper()
	m, err := OpenMeta(dir, id, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	return m
}

func TestMetaFirstStartAndRestart(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "data")
	before := uint64(0)
	for start := range 3 {
		m := mustOpenMeta(t, dir, testIdentity())
		if m.Boot() <= before || m.Created() != (start == 0) {
			t.Fatalf("start %d: boot %d after %d, created %v", start, m.Boot(), before, m.Created())
		}
		before = m.Boot()
		if got, want := m.ClusterID(), testIdentity().ClusterID(); got != want || len(got) != 16 {
			t.Fatalf("cluster id %q, want %q", got, want)
		}
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
	}
	id, err := ReadIdentity(dir)
	if err != nil || id.NodeID != "n1" || !maps.Equal(id.Members, testIdentity().Members) {
		t.Fatalf("ReadIdentity: %+v, %v", id, err)
	}
}

func TestMetaRefusesOtherData(t *testing.T) {
	dir := t.TempDir()
	if err := mustOpenMeta(t, dir, testIdentity()).Close(); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		change func(*Identity)
		words  []string // both sides
	}{
		"node":   {func(id *Identity) { id.NodeID = "n2" }, []string{`"n1"`, `"n2"`, "--id"}},
		"name":   {func(id *Identity) { id.ClusterName = "other" }, []string{`"lockstep"`, `"other"`, "--cluster-name"}},
		"shards": {func(id *Identity) { id.Shards = 8 }, []string{"has 4", "asks for 8", "--shards"}},
		"engine": {func(id *Identity) { id.LogEngine = "bolt" }, []string{"has wal", "asks for bolt", "--log-engine"}},
		"members": {func(id *Identity) { id.Members = map[string]string{"n1": "127.0.0.1:9001"} },
			[]string{"n3=127.0.0.1:9003", "asks for n1=127.0.0.1:9001;", "--initial-cluster"}},
	} {
		t.Run(name, func(t *testing.T) {
			want := testIdentity()
			tc.change(&want)
			m, err := OpenMeta(dir, want, time.Now())
			if !errors.Is(err, ErrForeignData) {
				t.Fatalf("got %v, %v", m, err)
			}
			for _, word := range append(tc.words, dir, "empty --data-dir") {
				if !strings.Contains(err.Error(), word) {
					t.Errorf("%q does not say %q", err, word)
				}
			}
		})
	}
	mustOpenMeta(t, dir, testIdentity())
}

func TestMetaSecondProcessIsRefused(t *testing.T) {
	dir := t.TempDir()
	mustOpenMeta(t, dir, testIdentity())
	if _, err := OpenMeta(dir, testIdentity(), time.Now()); !errors.Is(err, ErrDataDirInUse) || !strings.Contains(err.Error(), dir) {
		t.Errorf("second OpenMeta: %v", err)
	}
	if _, err := ReadIdentity(dir); !errors.Is(err, ErrDataDirInUse) {
		t.Errorf("ReadIdentity of a running node: %v", err)
	}
}

func TestMetaRefusesUnknownFormat(t *testing.T) {
	dir := t.TempDir()
	m := mustOpenMeta(t, dir, testIdentity())
	err := updateMeta(m.db, m.path, func(tx *bbolt.Tx) error { return tx.Bucket(bucketNode).Put(keyFormat, []byte("2")) })
	if err := errors.Join(err, m.Close()); err != nil {
		t.Fatal(err)
	}
	_, err = OpenMeta(dir, testIdentity(), time.Now())
	if !errors.Is(err, ErrDataFormat) || !strings.Contains(err.Error(), "format 2") || !strings.Contains(err.Error(), "format 1") {
		t.Errorf("got %v", err)
	}
}

func TestMetaRefusesDamagedFile(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, MetaFile), make([]byte, 64<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenMeta(dir, testIdentity(), time.Now()); !errors.Is(err, ErrDataFormat) {
		t.Errorf("got %v", err)
	}
}

func TestMetaRefusesDataWithoutMetadata(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "shard-0"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenMeta(dir, testIdentity(), time.Now()); !errors.Is(err, ErrForeignData) || !strings.Contains(err.Error(), `"shard-0"`) {
		t.Errorf("got %v", err)
	}
}

func TestMetaFirstStartCutShort(t *testing.T) {
	for name, content := range map[string][]byte{"empty": nil, "half": make([]byte, 5000)} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, MetaFile+".new"), content, 0o600); err != nil {
				t.Fatal(err)
			}
			if m := mustOpenMeta(t, dir, testIdentity()); !m.Created() {
				t.Errorf("boot %d, created %v", m.Boot(), m.Created())
			}
		})
	}
}

func TestMetaQuarantine(t *testing.T) {
	dir := t.TempDir()
	m := mustOpenMeta(t, dir, testIdentity())
	check := func(shard int, want bool) {
		t.Helper()
		if got, err := m.Quarantined(shard); err != nil || got != want {
			t.Fatalf("shard %d: quarantined %v, %v; want %v", shard, got, err, want)
		}
	}
	check(2, false)
	if err := m.SetQuarantine(2, true); err != nil {
		t.Fatal(err)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	m = mustOpenMeta(t, dir, testIdentity())
	check(2, true)
	check(1, false)
	if err := m.SetQuarantine(2, false); err != nil {
		t.Fatal(err)
	}
	check(2, false)
	if err := m.SetQuarantine(4, true); err == nil {
		t.Error("quarantine of a shard that is not there")
	}
}

func TestIdentityClusterID(t *testing.T) {
	base := testIdentity()
	other := testIdentity()
	other.NodeID, other.LogEngine = "n3", "bolt"
	if base.ClusterID() != other.ClusterID() {
		t.Error("nodes of one cluster disagree about its id")
	}
	other.Members = map[string]string{"n1": "127.0.0.1:9001,n2=127.0.0.1:9002", "n3": "127.0.0.1:9003"}
	if base.ClusterID() == other.ClusterID() {
		t.Error("different members make the same cluster id")
	}
}

func TestMetaRefusesBadIdentity(t *testing.T) {
	for name, change := range map[string]func(*Identity){
		"no node":      func(id *Identity) { id.NodeID = "" },
		"not a member": func(id *Identity) { id.NodeID = "n9" },
		"no shards":    func(id *Identity) { id.Shards = 0 },
		"no engine":    func(id *Identity) { id.LogEngine = "" },
	} {
		id := testIdentity()
		change(&id)
		if _, err := OpenMeta(t.TempDir(), id, time.Now()); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// TestBootIsNewAfterTheDirectoryIsLost: the replicas remember the batches of a
// node's earlier life under its boot number, so a new life must not repeat it.
func TestBootIsNewAfterTheDirectoryIsLost(t *testing.T) {
	now := time.Now()
	before := nextBoot(0, now)
	if again := nextBoot(0, now.Add(time.Second)); again <= before {
		t.Errorf("boot %d after %d", again, before)
	}
	if next := nextBoot(before, now.Add(-time.Hour)); next <= before {
		t.Errorf("boot %d after %d with a clock that went back", next, before)
	}
}
