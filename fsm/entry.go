package fsm

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/internal/bulk"
	"github.com/lockstepkv/lockstep/internal/wire"
	"github.com/lockstepkv/lockstep/store"
)

// FormatVersion is the version of log entries and of the engine state within
// snapshots. A node refuses what it does not know.
const FormatVersion = 2

// MaxEntryBytes is how much is collected for one log entry. An entry that has become
// larger than wholeBytes, by a large command or by long keys to evict, goes in fragments of
// FragmentBytes.
const (
	MaxEntryBytes = 1 << 20
	wholeBytes    = 2 << 20
	FragmentBytes = 256 << 10
)

const (
	kindBatches  byte = 1
	kindFragment byte = 2
)

// ErrMalformedEntry means that a log entry is damaged or was written by a
// version that this one does not know. See Refusal for what becomes of it.
var ErrMalformedEntry = errors.New("malformed log entry")

// Setting numbers a replicated setting.
type Setting uint64

const (
	// SettingLeaseMillis is how long a leader may answer reads after a confirmed
	// round, and how long every new leader stays silent. 0 means no leases.
	SettingLeaseMillis Setting = 1
	// SettingOnceMillis is how long the reply of an idempotent command is kept.
	SettingOnceMillis Setting = 2
	// SettingOnceBytes bounds the memory for ids and replies of idempotent commands.
	SettingOnceBytes Setting = 3
	// Audit sets nothing: every replica reads all its data as they are at this entry, and
	// what comes of it is compared. The value is not used.
	Audit Setting = 4
	// TakeNote sets nothing: every replica notes its state as it is at this entry. A version
	// that does not know it passes it over. The value is not used.
	TakeNote Setting = 5
	// presentSizes sets nothing: the entry's OOMLimit is by the sizes of Store.Used. It is no part
	// of Entry.Settings; see Entry.FormerSizes.
	presentSizes Setting = 6
)

// firstLimit and the numbers after it are the limits of package store. A value may be
// negative, in two's complement.
const firstLimit Setting = 32

// LimitSetting is the setting for a limit.
func LimitSetting(l store.Limit) Setting { return firstLimit + Setting(l) }

// limit returns the limit that s is for.
func (s Setting) limit() (store.Limit, bool) {
	if s < firstLimit || s >= firstLimit+Setting(store.LimitCount) {
		return 0, false
	}
	return store.Limit(s - firstLimit), true
}

// SettingChange is a new value of a replicated setting.
type SettingChange struct {
	Setting Setting
	Value   uint64
}

// Eviction names a key that the leader chose to evict, and the version that it
// saw: an entry that was written since stays.
type Eviction struct {
	Key     []byte
	Version uint64
}

// Batch is a run of units that one node proposes for its clients.
type Batch struct {
	Node  string // the node that owns the batch; see LargeBatches
	Boot  uint64 // that node's boot counter
	Seq   uint64 // number of the batch, from 1 in each boot
	Acked uint64 // every batch up to this one is resolved; its replies may be forgotten
	Units int    // number of units in Parts and Body

	// The units, encoded by package command: Parts, one after the other, and then Body.
	// One that was decoded has Body alone, unless its units were lent; see Lender.
	Parts [][]byte
	Body  []byte
}

// Entry is the content of one log entry.
type Entry struct {
	StampMillis int64 // the log's wall clock, Unix time, never before an earlier entry's
	MonoMillis  int64 // the log's monotonic time: how long there was a leader
	OOMLimit    int64 // bytes; DenyOOM commands are refused above it; 0 means no limit, command.NoDisk none at all
	FormerSizes bool  // OOMLimit is by Store.UsedFormerly: the entry is of a version that had no other sizes
	ValueLimit  int64 // bytes; no value may grow beyond it; 0 means Redis's own limit
	Evictions   []Eviction
	Settings    []SettingChange
	Batches     []Batch
}

// AppendTo encodes e.
func (e *Entry) AppendTo(dst []byte) []byte {
	dst = e.appendHead(dst)
	for i := range e.Batches {
		dst = e.Batches[i].AppendTo(dst)
	}
	return dst
}

// appendHead encodes what comes before the batches.
func (e *Entry) appendHead(dst []byte) []byte {
	dst = append(dst, FormatVersion, kindBatches)
	for _, v := range [...]int64{e.StampMillis, e.MonoMillis, e.OOMLimit, e.ValueLimit} {
		dst = binary.AppendUvarint(dst, uint64(v))
	}
	dst = binary.AppendUvarint(dst, uint64(len(e.Evictions)))
	for _, ev := range e.Evictions {
		dst = appendBytes(dst, ev.Key)
		dst = binary.AppendUvarint(dst, ev.Version)
	}
	settings, marked := uint64(len(e.Settings)), e.OOMLimit > 0 && !e.FormerSizes
	if marked {
		settings++
	}
	dst = binary.AppendUvarint(dst, settings)
	for _, s := range e.Settings {
		dst = appendSetting(dst, s)
	}
	if marked {
		dst = appendSetting(dst, SettingChange{Setting: presentSizes})
	}
	return binary.AppendUvarint(dst, uint64(len(e.Batches)))
}

func appendSetting(dst []byte, s SettingChange) []byte {
	return binary.AppendUvarint(binary.AppendUvarint(dst, uint64(s.Setting)), s.Value)
}

// AppendTo encodes b, as it stands in an entry and in a peer's message.
func (b *Batch) AppendTo(dst []byte) []byte {
	dst = b.appendHead(dst)
	for _, p := range b.Parts {
		dst = bulk.Append(dst, p)
	}
	return bulk.Append(dst, b.Body)
}

// Encoded returns what AppendTo appends in parts, uncopied. The first has prefix before it.
func (b *Batch) Encoded(prefix []byte) [][]byte {
	return append([][]byte{b.appendHead(prefix)}, b.Segments()...)
}

// Segments are Parts and Body.
func (b *Batch) Segments() [][]byte { return append(b.Parts[:len(b.Parts):len(b.Parts)], b.Body) }

// read starts r on the units.
func (b *Batch) read(r *command.UnitReader) {
	if len(b.Parts) == 0 {
		r.Reset(b.Body)
		return
	}
	r.ResetParts(b.Segments())
}

// UnitBytes is the length of the encoded units.
func (b *Batch) UnitBytes() int {
	return sizeOf(b.Parts) + len(b.Body)
}

// appendHead encodes what comes before the body's bytes.
func (b *Batch) appendHead(dst []byte) []byte {
	dst = appendString(dst, b.Node)
	dst = binary.AppendUvarint(dst, b.Boot)
	dst = binary.AppendUvarint(dst, b.Seq)
	dst = binary.AppendUvarint(dst, b.Acked)
	dst = binary.AppendUvarint(dst, uint64(b.Units))
	return binary.AppendUvarint(dst, uint64(b.UnitBytes()))
}

// Size estimates the encoded size of b, never too low.
func (b *Batch) Size() int { return b.UnitBytes() + len(b.Node) + 6*binary.MaxVarintLen64 }

// DecodeEntry decodes data into e, which then shares it. Fragments are not
// entries; the state machine assembles them first.
func DecodeEntry(data []byte, e *Entry) error { return decodeEntry(data, nil, e) }

// decodeEntry is DecodeEntry of an entry that ends with the units of its last batch, and has
// these in lent if that is not nil.
func decodeEntry(data []byte, lent [][]byte, e *Entry) error {
	if err := checkHeader(data, kindBatches); err != nil {
		return err
	}
	d := decoder{rest: data[2:], lent: lent}
	*e = Entry{Evictions: e.Evictions[:0], Settings: e.Settings[:0], Batches: e.Batches[:0]}
	for n := d.beforeBatches(e); n > 0 && !d.failed; n-- {
		e.Batches = append(e.Batches, d.batch())
	}
	return d.finish()
}

// beforeBatches reads what comes before the batches into e, and returns how many they are.
func (d *decoder) beforeBatches(e *Entry) int {
	e.StampMillis, e.MonoMillis = int64(d.uvarint()), int64(d.uvarint())
	e.OOMLimit, e.ValueLimit = int64(d.uvarint()), int64(d.uvarint())
	for n := d.count(evictionBytes); n > 0 && !d.failed; n-- {
		e.Evictions = append(e.Evictions, Eviction{Key: d.bytes(), Version: d.uvarint()})
	}
	e.FormerSizes = e.OOMLimit > 0
	for n := d.count(settingBytes); n > 0 && !d.failed; n-- {
		s := SettingChange{Setting: Setting(d.uvarint()), Value: d.uvarint()}
		if s.Setting == presentSizes {
			e.FormerSizes = false
			continue
		}
		e.Settings = append(e.Settings, s)
	}
	return d.count(batchBytes)
}

// What the parts of an entry take at least.
const (
	evictionBytes = 2
	settingBytes  = 2
	batchBytes    = 6
)

// DecodeBatch decodes a batch from a peer's message. It shares data.
func DecodeBatch(data []byte) (Batch, error) {
	d := decoder{rest: data}
	b := d.batch()
	return b, d.finish()
}

// Check walks the units of b.
func (b *Batch) Check() error {
	var r command.UnitReader
	var u command.Unit
	return b.check(&r, &u)
}

// check is Check with a reader and a unit that are used again.
func (b *Batch) check(r *command.UnitReader, u *command.Unit) error {
	n := 0
	for b.read(r); !r.Done(); n++ {
		if err := r.Next(u); err != nil {
			return err
		}
	}
	if n != b.Units {
		return fmt.Errorf("%w: %d units, said to be %d", ErrMalformedEntry, n, b.Units)
	}
	return nil
}

func checkHeader(data []byte, kind byte) error {
	if len(data) < 2 {
		return fmt.Errorf("%w: %d bytes", ErrMalformedEntry, len(data))
	}
	if data[0] != FormatVersion {
		return fmt.Errorf("%w: format version %d, this node knows %d", ErrMalformedEntry, data[0], FormatVersion)
	}
	if data[1] != kind {
		return fmt.Errorf("%w: kind %d", ErrMalformedEntry, data[1])
	}
	return nil
}

func appendBytes(dst, b []byte) []byte {
	return bulk.Append(binary.AppendUvarint(dst, uint64(len(b))), b)
}

func appendString(dst []byte, s string) []byte { return wire.AppendBytes(dst, s) }

// decoder reads the primitives of this package's formats. The first failure
// sticks; finish reports it.
type decoder struct {
	rest   []byte
	lent   [][]byte // the units of a batch that come after rest; see decodeEntry
	failed bool
}

func (d *decoder) uvarint() uint64 {
	v, rest, ok := wire.CutUvarint(d.rest)
	return taken(d, v, rest, ok)
}

// count reads the number of things that follow, each at least so many bytes long.
// A loop over them must end when d has failed.
func (d *decoder) count(least int) int {
	n, rest, ok := wire.CutCount(d.rest, least)
	return taken(d, n, rest, ok)
}

func (d *decoder) bytes() []byte {
	b, rest, ok := wire.CutBytes(d.rest)
	return taken(d, b, rest, ok)
}

// taken notes what is left after v, or that there was none.
func taken[T any](d *decoder, v T, rest []byte, ok bool) T {
	d.rest = rest
	d.failed = d.failed || !ok
	return v
}

func (d *decoder) batch() Batch {
	b := d.batchHead()
	if d.lent == nil {
		b.Body = d.bytes()
		return b
	}
	if n := d.uvarint(); n != uint64(sizeOf(d.lent)) || len(d.rest) != 0 {
		d.fail()
		return b
	}
	last := len(d.lent) - 1
	b.Parts, b.Body, d.lent = d.lent[:last:last], d.lent[last], nil
	return b
}

// batchHead reads what comes before the units and their length.
func (d *decoder) batchHead() Batch {
	return Batch{
		Node:  string(d.bytes()),
		Boot:  d.uvarint(),
		Seq:   d.uvarint(),
		Acked: d.uvarint(),
		Units: int(min(d.uvarint(), 1<<31)),
	}
}

func sizeOf(parts [][]byte) (n int) {
	for _, p := range parts {
		n += len(p)
	}
	return n
}

func (d *decoder) fail() {
	d.failed = true
	d.rest = nil
}

func (d *decoder) finish() error {
	if d.failed {
		return fmt.Errorf("%w: short or damaged", ErrMalformedEntry)
	}
	if len(d.rest) != 0 || len(d.lent) != 0 {
		return fmt.Errorf("%w: %d bytes too many", ErrMalformedEntry, len(d.rest)+sizeOf(d.lent))
	}
	return nil
}
