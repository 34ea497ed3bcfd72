package raftlog

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/hashicorp/raft"
)

// The engines.
const (
	EngineWAL  = "wal"
	EngineBolt = "bolt"
)

// engineKinds is the one table of engines; the first is the default. To try another one: its constructor,
// its reader and a line here. TestContract then holds it to what this file says.
var engineKinds = []engineKind{
	{name: EngineWAL, marker: walMetaFile, room: walRoom, open: openWALEngine, read: openWALReader},
	{name: EngineBolt, marker: boltFile, room: boltRoom, open: openBoltEngine, read: openBoltReader},
}

// engineKind is what a Store must know of an engine before it has one.
type engineKind struct {
	// name is the word of `--log-engine`. It is written into the node's identity and must never change.
	name string

	// marker is the name of a file that is in each directory of this engine from its first open on, and in
	// none of another engine.
	marker string

	// room is how many bytes of the disk a new log takes at once, for segments of this size.
	room func(segmentBytes int) int64

	// open opens the log in o.Dir, or creates an empty one. The directory exists and belongs to this engine
	// alone. A creation that a crash cuts short must leave what open can open.
	//
	// Owner: while another process, or another engine of this one, has the log open, it returns ErrLocked
	// after lockTimeout at most.
	//
	// Damage: it reads everything there is and verifies it, every entry and every stable value: a damaged one
	// that nobody needs yet would be found when the other replicas can no longer help. Whatever is not what
	// was written is a *CorruptError with the file, and with the offset if that is known; so is a log that
	// ends below o.watermark, and one with a hole. Damage never shows as a shorter log, an older stable value
	// or a panic.
	//
	// Torn tail: the remains of one append that never returned are no damage. They are removed, so that they
	// cannot continue a later batch, and are told in o.recovery. What is torn and what is damaged must be
	// told apart without o.watermark too, which may be a second old.
	//
	// After a crash: first, last and every stable value are those of the last call that returned, or, if one
	// had not returned, either before it or after the whole of it. What open has shown is durable when it
	// returns, also what an earlier process wrote and could not sync: Raft counts it from then on.
	//
	// Each entry is told to o.onEntry, in the order of the indexes, before open returns.
	//
	// Room: what is taken in advance is at most o.SegmentBytes and a quarter of what o.Free says, and a disk
	// that refuses to give it in advance is no error.
	open func(o opening) (engine, error)

	// read opens the log of a stopped node for offline tools, and verifies it as open does. It changes not one
	// byte: remains of an unfinished append are passed over. ErrLocked while an engine has the log open.
	read func(dir string, watermark uint64) (*Reader, error)
}

// opening is what an engine is opened with.
type opening struct {
	Options
	// watermark is an index that was durable; 0 if none is known.
	watermark uint64
	// recovery takes what had to be repaired: the fields Torn.
	recovery *Recovery
	// onEntry hears of each entry; bytes as in entryBytes.
	onEntry func(index uint64, typ raft.LogType, bytes int64)
}

// engine keeps the entries and stable values of one log on disk. A Store is the only caller and relieves it of
// much: append, deleteRange and setStable come one at a time, get and getStable beside them from any goroutine;
// arguments are checked; nothing is called after close. After one of the three has failed none of them is
// called again, as nobody knows what the disk holds then: reads go on, and only what open finds counts.
//
// Order of flushes: when one of the three returns nil, what it changed is durable, with all that is needed to
// find it again after a power failure (names in directories, lists of files). It does not write a byte before
// everything earlier is durable: at most the last call is ever unfinished.
type engine interface {
	// append adds entries behind the last one: logs is not empty, the indexes are contiguous, and an empty log
	// begins anywhere above 0. No entry has more than MaxEntryBytes. After a crash all of the batch is there or
	// nothing of it. The entries belong to the caller: they are not changed, and no memory of theirs is kept.
	append(logs []*raft.Log) error

	// deleteRange removes low to high, both in the log: its head, its tail or all of it. What was removed never
	// comes back, also when other entries get the same indexes. No get runs beside it, so files may go at
	// once. Their room is free for the log's own use again, soon if not at once. Stable values stay.
	deleteRange(low, high uint64) error

	// get fills l with the entry as it was appended: type, term, time to the nanosecond, extensions; an empty
	// Data or Extensions is nil. The memory is the caller's. What is read is verified each time, and what is
	// not that which was written is a *CorruptError. Where there is no entry it is raft.ErrLogNotFound itself.
	// It does not wait for an append to reach the disk.
	get(index uint64, l *raft.Log) error

	// bounds returns the first and the last index, 0 and 0 for an empty log. A Store asks once, after open, and
	// takes an answer that differs from what onEntry heard for damage.
	bounds() (first, last uint64, err error)

	// setStable sets one value for good: term and vote, which a node must never forget. The others stay. An
	// empty value is a value.
	setStable(key, val []byte) error

	// getStable returns a copy of a value; nil for a key that was never set, and then only. Damage is a
	// *CorruptError.
	getStable(key []byte) ([]byte, error)

	// close ends what runs in the background, releases the files and the lock. It syncs nothing that was
	// acknowledged: that is durable already.
	close() error
}

// Engines are the names of all engines, the default first.
func Engines() []string {
	names := make([]string, len(engineKinds))
	for i, k := range engineKinds {
		names[i] = k.name
	}
	return names
}

// NewLogBytes is how much of the disk a new log takes at once, before it holds anything.
func NewLogBytes(engine string, segmentBytes int) int64 {
	k, err := kindOf(engine)
	if err != nil {
		return 0 // Open says why
	}
	return k.room(segmentBytes)
}

// kindOf returns the engine of this name.
func kindOf(name string) (engineKind, error) {
	for _, k := range engineKinds {
		if k.name == name {
			return k, nil
		}
	}
	return engineKind{}, fmt.Errorf("%w: %q is none of %q", ErrEngine, name, Engines())
}

// checkOwner refuses a directory that another engine has written.
func (k engineKind) checkOwner(dir string) error {
	for _, other := range engineKinds {
		if other.name != k.name && other.in(dir) {
			return fmt.Errorf("%w: %s holds %s, which engine %q did not write", ErrEngine, dir, other.marker, k.name)
		}
	}
	return nil
}

// in tells whether the directory has a log of this engine.
func (k engineKind) in(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, k.marker))
	return err == nil
}
