package raftlog

import (
	"bytes"
	"encoding/binary"
	"encoding/gob"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/hashicorp/raft"
	"golang.org/x/sys/unix"

	"github.com/lockstepkv/lockstep/internal/disk"
	"github.com/lockstepkv/lockstep/internal/failpoint"
)

// enginePlain is the smallest engine that keeps the contract: one file, written as a whole each time. It shows
// what another engine takes (this file, and the line below), and is what the contract's own test breaks.
const enginePlain = "plain"

func init() {
	engineKinds = append(engineKinds, engineKind{
		name: enginePlain, marker: plainFile, room: func(int) int64 { return 0 }, open: openPlain, read: readPlain,
	})
}

const plainFile = "plain.log"

// plainContents is the file, behind a checksum.
type plainContents struct {
	Logs   []raft.Log
	Stable map[string][]byte
}

type plainEngine struct {
	path string
	lock *os.File
	// now is replaced, never changed: reads run beside writes.
	now plainContents
	mu  chan struct{} // a lock of one place
}

func openPlain(o opening) (engine, error) {
	e, err := loadPlain(o.Dir, o.watermark, unix.LOCK_EX)
	if err != nil {
		return nil, err
	}
	for _, l := range e.now.Logs {
		o.onEntry(l.Index, l.Type, entryBytes(len(l.Data), len(l.Extensions)))
	}
	// What was found may have been read from memory only.
	if err := e.write(e.now); err != nil {
		return nil, errors.Join(err, e.close())
	}
	return e, nil
}

func loadPlain(dir string, watermark uint64, how int) (*plainEngine, error) {
	lock, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := flockWithin(lock, how, lockTimeout); err != nil {
		return nil, errors.Join(fmt.Errorf("%w: %w", ErrLocked, err), lock.Close())
	}
	e := &plainEngine{path: filepath.Join(dir, plainFile), lock: lock, mu: make(chan struct{}, 1)}
	if err := e.load(watermark); err != nil {
		return nil, errors.Join(err, e.close())
	}
	return e, nil
}

func (e *plainEngine) load(watermark uint64) error {
	e.now.Stable = map[string][]byte{}
	b, err := os.ReadFile(e.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	case len(b) < 4 || binary.LittleEndian.Uint32(b) != crc32.ChecksumIEEE(b[4:]):
		return corrupt(e.path, 0, 0, "checksum mismatch")
	default:
		if err := gob.NewDecoder(bytes.NewReader(b[4:])).Decode(&e.now); err != nil {
			return corrupt(e.path, 4, 0, "%v", err)
		}
	}
	if _, last, _ := e.bounds(); last < watermark {
		return corrupt(e.path, -1, last, "entries up to %d were acknowledged", watermark)
	}
	return nil
}

func (e *plainEngine) write(c plainContents) error {
	b := bytes.NewBuffer(make([]byte, 4))
	if err := gob.NewEncoder(b).Encode(c); err != nil {
		return err
	}
	binary.LittleEndian.PutUint32(b.Bytes(), crc32.ChecksumIEEE(b.Bytes()[4:]))
	err := failpoint.Inject("raftlog/write")
	if err == nil {
		err = failpoint.Inject("raftlog/sync")
	}
	if err == nil {
		err = disk.WriteFile(e.path, b.Bytes(), 0o600)
	}
	if err == nil {
		e.mu <- struct{}{}
		e.now = c
		<-e.mu
	}
	return err
}

func (e *plainEngine) read() plainContents {
	e.mu <- struct{}{}
	defer func() { <-e.mu }()
	return e.now
}

func copyOf(l raft.Log) raft.Log {
	l.Data, l.Extensions = bytes.Clone(l.Data), bytes.Clone(l.Extensions)
	if len(l.Data) == 0 {
		l.Data = nil
	}
	if len(l.Extensions) == 0 {
		l.Extensions = nil
	}
	return l
}

func (e *plainEngine) append(logs []*raft.Log) error {
	c := e.read()
	c.Logs = slices.Clone(c.Logs)
	for _, l := range logs {
		c.Logs = append(c.Logs, copyOf(*l))
	}
	return e.write(c)
}

func (e *plainEngine) deleteRange(low, high uint64) error {
	c := e.read()
	c.Logs = slices.DeleteFunc(slices.Clone(c.Logs), func(l raft.Log) bool { return l.Index >= low && l.Index <= high })
	return e.write(c)
}

func (e *plainEngine) get(index uint64, l *raft.Log) error {
	logs := e.read().Logs
	if len(logs) == 0 || index < logs[0].Index || index > logs[len(logs)-1].Index {
		return raft.ErrLogNotFound
	}
	*l = copyOf(logs[index-logs[0].Index])
	return nil
}

func (e *plainEngine) bounds() (first, last uint64, err error) {
	if logs := e.read().Logs; len(logs) > 0 {
		return logs[0].Index, logs[len(logs)-1].Index, nil
	}
	return 0, 0, nil
}

func (e *plainEngine) setStable(key, val []byte) error {
	c := e.read()
	c.Stable = maps.Clone(c.Stable)
	c.Stable[string(key)] = bytes.Clone(val)
	return e.write(c)
}

func (e *plainEngine) getStable(key []byte) ([]byte, error) {
	val, ok := e.read().Stable[string(key)]
	if !ok {
		return nil, nil
	}
	return append([]byte{}, val...), nil
}

func (e *plainEngine) close() error { return e.lock.Close() }

func readPlain(dir string, watermark uint64) (*Reader, error) {
	e, err := loadPlain(dir, watermark, unix.LOCK_SH)
	if err != nil {
		return nil, err
	}
	first, last, _ := e.bounds()
	each := func(from uint64, fn func(*raft.Log) error) error {
		for i := from; i <= last; i++ {
			l := new(raft.Log)
			if err := e.get(i, l); err != nil {
				return err
			}
			if err := fn(l); err != nil {
				return err
			}
		}
		return nil
	}
	return &Reader{first: first, last: last, each: each, stable: e.getStable, closeFn: e.close}, nil
}
