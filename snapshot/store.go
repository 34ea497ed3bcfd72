package snapshot

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"github.com/lockstepkv/lockstep/internal/disk"
	"github.com/lockstepkv/lockstep/snapshot/rdb"
)

// ErrNewerDamaged is wrapped by the error of Open for a snapshot that is older
// than one found damaged.
var ErrNewerDamaged = errors.New("a newer snapshot is damaged")

// Store keeps the snapshots of one Raft group in a directory. It implements
// raft.SnapshotStore.
//
// Nothing damaged is ever handed out: Open reads the whole file before it
// returns a reader. Nor does the store step back by itself. hashicorp/raft tries
// the next older snapshot when Open fails at start; a node that did so could
// forget entries that it had acknowledged, and then vote for a leader that lacks
// them. So once a snapshot is found damaged, older ones are refused. A newer one
// ends that, and so does an owner who moves the directory away and has the state
// sent by the other replicas.
type Store struct {
	dir    string
	retain int
	log    *slog.Logger

	hooks atomic.Pointer[Hooks]

	mu      sync.Mutex
	damaged position // the newest one found damaged; zero for none
}

// Hooks are asked while a snapshot is written. Either may be nil.
type Hooks struct {
	// Pace is called after every few MiB with the time that the disk took for them, and
	// returns when writing may go on.
	Pace func(busy time.Duration)
	// Room is asked as often. An error ends the writing; nothing is left of the snapshot.
	Room func() error
	// Failed is told why a snapshot could not be written: Raft keeps the text alone.
	Failed func(error)
}

// SetHooks replaces the hooks.
func (s *Store) SetHooks(h Hooks) { s.hooks.Store(&h) }

var _ raft.SnapshotStore = (*Store)(nil)

// NewStore opens the snapshots in dir, which it makes when needed, and removes
// what a crash left unfinished. The newest retain of them are kept.
func NewStore(dir string, retain int, logger *slog.Logger) (*Store, error) {
	if retain < 1 {
		return nil, fmt.Errorf("snapshots to retain: %d; at least 1 is needed", retain)
	}
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	if err := disk.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("snapshot directory: %w", err)
	}
	s := &Store{dir: dir, retain: retain, log: logger}
	s.hooks.Store(&Hooks{})
	if err := s.removeTemp(); err != nil {
		return nil, fmt.Errorf("snapshot directory: %w", err)
	}
	return s, nil
}

func (s *Store) removeTemp() error {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), tempSuffix) {
			continue
		}
		s.log.Warn("removing an unfinished snapshot", slog.String("name", e.Name()))
		if err := os.RemoveAll(filepath.Join(s.dir, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// Create begins a snapshot.
func (s *Store) Create(version raft.SnapshotVersion, index, term uint64,
	configuration raft.Configuration, configurationIndex uint64, _ raft.Transport) (raft.SnapshotSink, error) {
	if version != raft.SnapshotVersionMax {
		return nil, rdb.Unsupported("Raft snapshot version %d; known is %d", version, raft.SnapshotVersionMax)
	}
	pos := position{term: term, index: index, unixMs: uint64(time.Now().UnixMilli())}
	for s.taken(pos) {
		pos.unixMs++
	}
	k := &sink{store: s, final: filepath.Join(s.dir, pos.String())}
	k.temp = k.final + tempSuffix
	k.meta.SnapshotMeta = raft.SnapshotMeta{
		Version: version, ID: pos.String(), Index: index, Term: term,
		Configuration: configuration, ConfigurationIndex: configurationIndex,
	}
	if room := s.hooks.Load().Room; room != nil {
		if err := room(); err != nil {
			return nil, s.failed(err)
		}
	}
	if err := os.Mkdir(k.temp, 0o700); err != nil {
		return nil, s.failed(err)
	}
	f, err := os.OpenFile(filepath.Join(k.temp, stateFile), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, errors.Join(s.failed(err), os.RemoveAll(k.temp))
	}
	k.file = f
	return k, nil
}

// failed tells the hook, and returns err.
func (s *Store) failed(err error) error {
	if h := s.hooks.Load(); err != nil && h.Failed != nil {
		h.Failed(err)
	}
	return err
}

func (s *Store) taken(p position) bool {
	for _, suffix := range []string{"", tempSuffix} {
		if _, err := os.Lstat(filepath.Join(s.dir, p.String()+suffix)); err == nil {
			return true
		}
	}
	return false
}

// positions returns the snapshots that are in place, newest first.
func (s *Store) positions() ([]position, error) {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return nil, err
	}
	var all []position
	for _, e := range entries {
		if p, ok := parseID(e.Name()); ok && e.IsDir() {
			all = append(all, p)
		}
	}
	slices.SortFunc(all, func(a, b position) int { return b.compare(a) })
	return all, nil
}

// List returns the snapshots, newest first. It fails with a *rdb.CorruptError when
// what is known of one of them is damaged or of an unknown version.
func (s *Store) List() ([]*raft.SnapshotMeta, error) {
	all, err := s.positions()
	if err != nil {
		return nil, err
	}
	var list []*raft.SnapshotMeta
	for _, p := range all {
		m, err := readMeta(s.dir, p.String())
		if errors.Is(err, os.ErrNotExist) {
			continue // reaped meanwhile
		}
		if err != nil {
			if len(list) > 0 { // an older one: a newer, sound one makes it superfluous
				s.log.Error("an old snapshot is damaged", slog.Any("error", err))
				continue
			}
			s.noteDamage(p)
			return nil, err
		}
		list = append(list, &m.SnapshotMeta)
	}
	return list, nil
}

// Open returns a snapshot after it has checked its size and its checksum. It
// fails with a *rdb.CorruptError when they are wrong, with ErrNewerDamaged for a
// snapshot older than a damaged one, and with os.ErrNotExist.
func (s *Store) Open(id string) (*raft.SnapshotMeta, io.ReadCloser, error) {
	p, ok := parseID(id)
	if !ok {
		return nil, nil, fmt.Errorf("snapshot %q: %w", id, os.ErrNotExist)
	}
	s.mu.Lock()
	bad := s.damaged
	s.mu.Unlock()
	if p.compare(bad) < 0 {
		return nil, nil, fmt.Errorf("snapshot %s is refused: %w: %s", id, ErrNewerDamaged, bad)
	}
	m, f, err := s.open(id)
	if err != nil {
		var corrupt *rdb.CorruptError
		if errors.As(err, &corrupt) {
			s.noteDamage(p)
		}
		return nil, nil, err
	}
	return &m.SnapshotMeta, openState{f, m.Index}, nil
}

// openState is a snapshot that is being read.
type openState struct {
	*os.File
	index uint64
}

// SnapshotIndex is the Raft index that the snapshot stands for.
func (s openState) SnapshotIndex() uint64 { return s.index }

// IndexOf returns the Raft index of the snapshot that r reads, through what the Raft library wraps
// around it. It may be higher than that of the newest command in it: Raft counts entries that never come
// to the state machine. 0 means that r is no snapshot of a Raft group.
func IndexOf(r io.Reader) uint64 {
	for {
		switch s := r.(type) {
		case interface{ SnapshotIndex() uint64 }:
			return s.SnapshotIndex()
		case raft.ReadCloserWrapper:
			r = s.WrappedReadCloser()
		default:
			return 0
		}
	}
}

func (s *Store) open(id string) (*fileMeta, *os.File, error) {
	m, err := readMeta(s.dir, id)
	if err != nil {
		return nil, nil, err
	}
	path := filepath.Join(s.dir, id, stateFile)
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		if _, err := readMeta(s.dir, id); errors.Is(err, os.ErrNotExist) {
			return nil, nil, err // reaped meanwhile
		}
		err = rdb.Damaged("file is missing")
	}
	if err != nil {
		return nil, nil, &rdb.CorruptError{File: path, Err: err}
	}
	if err := verifyState(f, path, m); err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	return m, f, nil
}

// readBuffer is how much is read of a snapshot at a time to check it.
const readBuffer = 256 << 10

// verifyState checks a file against what is known of it, and rewinds it.
func verifyState(f *os.File, path string, m *fileMeta) error {
	var sum rdb.TailSum
	buf := make([]byte, readBuffer)
	for {
		n, err := f.Read(buf)
		sum.Add(buf[:n])
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return &rdb.CorruptError{File: path, Offset: sum.Size, Err: err}
		}
	}
	if sum.Size != m.Size {
		return &rdb.CorruptError{File: path, Offset: min(sum.Size, m.Size), Err: rdb.Damaged("%d bytes, %d were written", sum.Size, m.Size)}
	}
	err := sum.Check()
	if err == nil && sum.Sum != m.CRC64 {
		err = rdb.Damaged("checksum is %016x, %016x was written", sum.Sum, m.CRC64)
	}
	if err != nil {
		return &rdb.CorruptError{File: path, Offset: sum.Size - rdb.TrailerLen, Err: err}
	}
	_, err = f.Seek(0, io.SeekStart)
	return err
}

// Verify checks every snapshot. The error joins a *rdb.CorruptError for each one that
// is damaged and not older than a sound one. Those that are make no difference, and
// are removed.
func (s *Store) Verify() error {
	all, err := s.positions()
	if err != nil {
		return err
	}
	var bad []error
	sound := false
	for _, p := range all { // newest first
		_, f, err := s.open(p.String())
		switch {
		case err == nil:
			sound = true
			_ = f.Close() // only read from
		case errors.Is(err, os.ErrNotExist):
		case sound:
			s.log.Warn("an old snapshot is damaged and removed; a newer one is sound", slog.Any("error", err))
			s.discard(p)
		default:
			s.noteDamage(p)
			bad = append(bad, err)
		}
	}
	return errors.Join(bad...)
}

func (s *Store) noteDamage(p position) {
	s.log.Error("snapshot is damaged", slog.String("id", p.String()))
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.compare(s.damaged) > 0 {
		s.damaged = p
	}
}

// reap removes snapshots beyond the newest retain. One that is open keeps its
// bytes until it is closed. Failing does no harm but take space.
func (s *Store) reap() {
	all, err := s.positions()
	if err != nil {
		s.log.Warn("old snapshots are not removed", slog.Any("error", err))
		return
	}
	for _, p := range all[min(s.retain, len(all)):] {
		s.discard(p)
	}
}

// KeepNewest removes every snapshot but the newest.
func (s *Store) KeepNewest() error {
	all, err := s.positions()
	if err != nil {
		return err
	}
	for _, p := range all[min(1, len(all)):] {
		s.discard(p)
	}
	return nil
}

// discard removes a snapshot, under another name first, and durably: a removal that
// stops half-way, or of which a power failure keeps a part, must not look like
// damage.
func (s *Store) discard(p position) {
	path := filepath.Join(s.dir, p.String())
	err := disk.Rename(path, path+tempSuffix)
	if err == nil {
		err = os.RemoveAll(path + tempSuffix)
	}
	if err != nil {
		s.log.Warn("an old snapshot is not removed", slog.String("id", p.String()), slog.Any("error", err))
	}
}
