package snapshot

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/raft"
	"pgregory.net/rapid"

	"github.com/lockstepkv/lockstep/snapshot/rdb"
	"github.com/lockstepkv/lockstep/snapshot/rdbtest"
	"github.com/lockstepkv/lockstep/store"
)

func openStore(t *testing.T, dir string, retain int) *Store {
	t.Helper()
	s, err := NewStore(dir, retain, nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func servers() raft.Configuration {
	return raft.Configuration{Servers: []raft.Server{
		{Suffrage: raft.Voter, ID: "n1", Address: "n1:1"}, {Suffrage: raft.Nonvoter, ID: "n2", Address: "n2:1"},
	}}
}

// take writes a snapshot in pieces of odd sizes and returns its id.
func take(t *testing.T, s *Store, index, term uint64, file []byte) string {
	t.Helper()
	k, err := s.Create(1, index, term, servers(), index-1, nil)
	if err != nil {
		t.Fatal(err)
	}
	for n := 1; len(file) > 0; n = n*3 + 1 {
		n = min(n, len(file))
		if m, err := k.Write(file[:n]); err != nil || m != n {
			t.Fatal(err)
		}
		file = file[n:]
	}
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	return k.ID()
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

func TestStoreKeepsWhatWasWritten(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "snapshots")
	file := smallFile(t)
	id := take(t, openStore(t, dir, 2), 7, 3, file)
	s := openStore(t, dir, 2) // as after a restart
	list, err := s.List()
	if err != nil || len(list) != 1 {
		t.Fatalf("%v, %v", list, err)
	}
	meta, r, err := s.Open(id)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	got, err := io.ReadAll(r)
	if err != nil || !bytes.Equal(got, file) {
		t.Fatalf("other bytes: %v", err)
	}
	for _, m := range []*raft.SnapshotMeta{meta, list[0]} {
		if m.ID != id || m.Index != 7 || m.Term != 3 || m.Version != 1 || m.Size != int64(len(file)) ||
			m.ConfigurationIndex != 6 || len(m.Configuration.Servers) != 2 || m.Configuration.Servers[1] != servers().Servers[1] {
			t.Errorf("%+v", m)
		}
	}
	if err := s.Verify(); err != nil {
		t.Error(err)
	}
	if _, _, err := s.Open("9-9-9"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

func TestStoreRetainsTheNewest(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir, 2)
	file := smallFile(t)
	first := take(t, s, 100, 9, file)
	_, open, err := s.Open(first)
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	// Numbers, not text, give the order: 99 comes before 1000.
	take(t, s, 99, 10, file)
	take(t, s, 1000, 10, file)
	list, err := s.List()
	if err != nil || len(list) != 2 || list[0].Index != 1000 || list[1].Index != 99 {
		t.Fatalf("%+v, %v", list, err)
	}
	if got := names(t, dir); len(got) != 2 {
		t.Errorf("left behind: %v", got)
	}
	if got, err := io.ReadAll(open); err != nil || !bytes.Equal(got, file) {
		t.Errorf("a snapshot that is read was taken away: %v", err)
	}
	if a, b := take(t, s, 1001, 10, file), take(t, s, 1001, 10, file); a == b {
		t.Errorf("two snapshots are called %s", a)
	}
}

func TestCancelLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir, 1)
	k, err := s.Create(1, 1, 1, servers(), 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.Write([]byte("REDIS")); err != nil {
		t.Fatal(err)
	}
	if list, err := s.List(); err != nil || len(list) != 0 {
		t.Fatalf("an unfinished snapshot is listed: %v, %v", list, err)
	}
	if err := errors.Join(k.Cancel(), k.Cancel(), k.Close()); err != nil {
		t.Fatal(err)
	}
	if got := names(t, dir); len(got) != 0 {
		t.Fatalf("left behind: %v", got)
	}
	if _, err := k.Write([]byte("x")); !errors.Is(err, os.ErrClosed) {
		t.Errorf("write after the end: %v", err)
	}
}

func TestCancelAfterCloseKeepsTheSnapshot(t *testing.T) {
	s := openStore(t, t.TempDir(), 1)
	k, _ := s.Create(1, 1, 1, servers(), 1, nil)
	if _, err := k.Write(smallFile(t)); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(k.Close(), k.Cancel(), k.Close()); err != nil {
		t.Fatal(err)
	}
	if _, r, err := s.Open(k.ID()); err != nil {
		t.Fatal(err)
	} else {
		r.Close()
	}
}

// A snapshot that another node sent and that is not whole must not become the
// newest one.
func TestCloseRefusesWhatIsNoWholeFile(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir, 1)
	file := smallFile(t)
	flipped := bytes.Clone(file)
	flipped[50] ^= 1
	for name, data := range map[string][]byte{"empty": nil, "cut": file[:len(file)-1], "flipped": flipped, "tail": append(bytes.Clone(file), 0)} {
		k, err := s.Create(1, 5, 5, servers(), 1, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := k.Write(data); err != nil {
			t.Fatal(err)
		}
		if err := k.Close(); !errors.Is(err, rdb.ErrDamaged) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if got := names(t, dir); len(got) != 0 {
		t.Fatalf("left behind: %v", got)
	}
}

func TestStartRemovesUnfinishedSnapshots(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir, 1)
	take(t, s, 1, 1, smallFile(t))
	k, err := s.Create(1, 2, 1, servers(), 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.Write([]byte("half")); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, dir, 1) // the process died in between
	if got := names(t, dir); len(got) != 1 {
		t.Fatalf("left behind: %v", got)
	}
	if list, err := s.List(); err != nil || len(list) != 1 {
		t.Fatalf("%v, %v", list, err)
	}
}

// Whatever byte of whatever file changes: the snapshot is not handed out, the
// error names the file, and no older one takes its place.
func TestDamageIsNeverHandedOut(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		dir := t.TempDir()
		s := openStore(t, dir, 3)
		old := take(t, s, 1, 1, smallFile(t))
		id := take(t, s, 2, 1, smallFile(t))
		name := rapid.SampledFrom([]string{stateFile, metaFile}).Draw(rt, "file")
		path := filepath.Join(dir, id, name)
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		at := rapid.IntRange(0, len(data)-1).Draw(rt, "at")
		switch rapid.IntRange(0, 2).Draw(rt, "kind") {
		case 0:
			data[at] ^= 1 << rapid.IntRange(0, 7).Draw(rt, "bit")
		case 1:
			data = data[:at]
		case 2:
			data = nil
		}
		if data == nil {
			err = os.Remove(path)
		} else {
			err = os.WriteFile(path, data, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		s = openStore(t, dir, 3)
		verified := s.Verify()
		_, r, err := s.Open(id)
		if err == nil {
			// JSON names are matched without regard to case, and the letter case
			// of a name changes nothing else.
			got, readErr := io.ReadAll(r)
			r.Close()
			if name != metaFile || verified != nil || readErr != nil || !bytes.Equal(got, smallFile(t)) {
				rt.Fatalf("damaged %s was handed out", name)
			}
			return
		}
		var corrupt *rdb.CorruptError
		if !errors.As(err, &corrupt) || corrupt.File != path || !errors.As(verified, &corrupt) || corrupt.File != path {
			rt.Fatalf("got %v and %v, want an error about %s", err, verified, path)
		}
		if _, _, err := s.Open(old); !errors.Is(err, ErrNewerDamaged) {
			rt.Fatalf("the older snapshot: %v", err)
		}
		if list, err := s.List(); name == metaFile && !errors.As(err, &corrupt) {
			rt.Fatalf("list: %v, %v", list, err)
		}
		// A newer snapshot makes the damaged one superfluous.
		newest := take(t, s, 3, 1, smallFile(t))
		if list, err := s.List(); err != nil || list[0].ID != newest {
			rt.Fatalf("after a newer snapshot: %v", err)
		}
		_, r, err = s.Open(newest)
		if err != nil {
			rt.Fatal(err)
		}
		r.Close()
	})
}

// An old snapshot that is damaged, or of which a power failure has kept the name
// only, is no reason to give up a replica that has a newer one.
func TestDamageThatMakesNoDifference(t *testing.T) {
	for name, harm := range map[string]func(dir string) error{
		"nothing left": func(dir string) error {
			return errors.Join(os.Remove(filepath.Join(dir, metaFile)), os.Remove(filepath.Join(dir, stateFile)))
		},
		"no list": func(dir string) error { return os.Remove(filepath.Join(dir, metaFile)) },
		"no data": func(dir string) error { return os.Remove(filepath.Join(dir, stateFile)) },
		"cut off": func(dir string) error { return os.Truncate(filepath.Join(dir, stateFile), 20) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := openStore(t, dir, 3)
			oldest := take(t, s, 1, 1, smallFile(t))
			old := take(t, s, 2, 1, smallFile(t))
			newest := take(t, s, 3, 1, smallFile(t))
			if err := harm(filepath.Join(dir, old)); err != nil {
				t.Fatal(err)
			}
			s = openStore(t, dir, 3)
			if err := s.Verify(); err != nil {
				t.Fatalf("Verify: %v", err)
			}
			list, err := s.List()
			if err != nil || len(list) != 2 || list[0].ID != newest || list[1].ID != oldest {
				t.Fatalf("list: %v, %v", list, err)
			}
			for _, m := range list {
				_, r, err := s.Open(m.ID)
				if err != nil {
					t.Fatal(err)
				}
				r.Close()
			}
		})
	}
}

func TestUnknownFormatIsRefusedByName(t *testing.T) {
	dir := t.TempDir()
	id := take(t, openStore(t, dir, 1), 1, 1, smallFile(t))
	path := filepath.Join(dir, id, metaFile)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	rdbtest.WriteFile(t, path, bytes.Replace(data, []byte(`"version":1`), []byte(`"version":8`), 1))
	_, err = openStore(t, dir, 1).List()
	if !errors.Is(err, rdb.ErrUnsupported) || !strings.Contains(err.Error(), "lockstep-snapshot version 8") || !strings.Contains(err.Error(), path) {
		t.Fatalf("got %v", err)
	}
	if _, err := openStore(t, dir, 1).Create(0, 1, 1, servers(), 1, nil); !errors.Is(err, rdb.ErrUnsupported) {
		t.Fatalf("Raft's old snapshot version: %v", err)
	}
}

func TestRetainMustBePositive(t *testing.T) {
	if _, err := NewStore(t.TempDir(), 0, nil); err == nil {
		t.Fatal("0 was accepted")
	}
}

// Raft itself stores and restores through the store.
func TestRaftRestartsFromTheStore(t *testing.T) {
	dir := t.TempDir()
	snaps := openStore(t, dir, 2)
	logs := raft.NewInmemStore()
	conf := raft.DefaultConfig()
	conf.LocalID = "n1"
	conf.LogOutput = io.Discard
	conf.TrailingLogs = 0
	addr, trans := raft.NewInmemTransport("n1")
	boot := raft.Configuration{Servers: []raft.Server{{ID: "n1", Address: addr}}}
	if err := raft.BootstrapCluster(conf, logs, logs, snaps, trans, boot); err != nil {
		t.Fatal(err)
	}
	first := startRaft(t, conf, logs, snaps, trans)
	for range 10 {
		if err := first.raft.Apply([]byte("x"), 0).Error(); err != nil {
			t.Fatal(err)
		}
	}
	if err := first.raft.Snapshot().Error(); err != nil {
		t.Fatal(err)
	}
	if err := first.raft.Shutdown().Error(); err != nil {
		t.Fatal(err)
	}
	second := startRaft(t, conf, logs, openStore(t, dir, 2), trans)
	defer second.raft.Shutdown()
	if err := second.raft.Barrier(0).Error(); err != nil {
		t.Fatal(err)
	}
	if second.s.Digest() != first.s.Digest() || second.s.Len() != 10 || second.applied != 0 {
		t.Fatalf("%d keys, %d entries replayed", second.s.Len(), second.applied)
	}
}

// machine is a state machine whose entries add a key each.
type machine struct {
	raft    *raft.Raft
	s       *store.Store
	applied int
}

func startRaft(t *testing.T, conf *raft.Config, logs *raft.InmemStore, snaps *Store, trans raft.Transport) *machine {
	t.Helper()
	m := &machine{s: store.New(store.DefaultOptions())}
	leading := make(chan bool, 10)
	c := *conf
	c.NotifyCh = leading
	r, err := raft.NewRaft(&c, m, logs, logs, snaps, trans)
	if err != nil {
		t.Fatal(err)
	}
	m.raft = r
	<-leading
	return m
}

func (m *machine) Apply(l *raft.Log) any {
	m.applied++
	m.s.Put([]byte{byte(l.Index)}, l.Data, 0, false)
	return nil
}

func (m *machine) Snapshot() (raft.FSMSnapshot, error) { return machineSnapshot{m.s.Freeze()}, nil }

func (m *machine) Restore(r io.ReadCloser) error {
	s, _, err := rdb.Read(r, store.DefaultOptions())
	if err == nil {
		m.s = s
	}
	return errors.Join(err, r.Close())
}

type machineSnapshot struct{ sn *store.Snapshot }

func (z machineSnapshot) Persist(k raft.SnapshotSink) error {
	return rdb.Write(k, z.sn, nil, rdbtest.Now)
}
func (z machineSnapshot) Release() { z.sn.Release() }

// smallFile is an RDB file with a few keys.
func smallFile(t testing.TB) []byte {
	t.Helper()
	s := store.New(store.DefaultOptions())
	rdbtest.Fill(s, 10, 20)
	var b bytes.Buffer
	sn := s.Freeze()
	defer sn.Release()
	if err := rdb.Write(&b, sn, []rdb.Aux{{Key: "lockstep-state", Value: []byte("state")}}, rdbtest.Now); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
