package command

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/lockstepkv/lockstep/internal/bulk"
	"github.com/lockstepkv/lockstep/resp"
)

// A unit is what the state machine applies in one step: one command, or the
// commands of a MULTI with the versions that WATCH saw. Units travel encoded,
// from the node that a client is connected to into the log, and are decoded
// only when they are applied.
//
//	unit    = kind:byte body
//	plain   = 0x01 command
//	owned   = 0x03 bytes(owner) command
//	multi   = 0x02 uvarint(watches) watch* uvarint(commands) command*
//	watch   = bytes(key) uvarint(version)
//	command = uvarint(args) bytes(arg)*
//	bytes   = uvarint(len) octets
const (
	unitPlain byte = 1
	unitMulti byte = 2
	unitOwned byte = 3
)

// ErrMalformedUnit means that a log entry or a peer's message is damaged or was
// written by a version that this one does not know.
var ErrMalformedUnit = errors.New("malformed unit")

// Watch is one key of WATCH with what WatchVersion said of it.
type Watch struct {
	Key     []byte
	Version uint64
}

// absentBit marks the watch version of an absent key. The rest is the store's
// revision at the time: the key must not have come and gone since.
const absentBit uint64 = 1 << 63

// WatchVersion returns what WATCH remembers of key.
func (c *Ctx) WatchVersion(key []byte) uint64 {
	if e := c.Peek(key); e != nil {
		return e.Version()
	}
	return absentBit | c.Store.Revision()
}

// Unchanged reports whether w's key is as it was when it was watched. Which
// replica was asked then, and which leader asks now, makes no difference.
func (c *Ctx) Unchanged(w Watch) bool {
	if w.Version&absentBit == 0 {
		return VersionOf(c.Peek(w.Key)) == w.Version
	}
	since := w.Version &^ absentBit
	// A key that is there, but whose time is up, was made before or after.
	e := c.Store.Get(w.Key)
	return (e == nil || !c.Live(e) && e.Version() <= since) && !c.Store.RemovedSince(w.Key, since)
}

// ReferenceBytes is the length from which an argument goes into a batch as it is, uncopied.
const ReferenceBytes = 1 << 20

// Batch is a run of encoded units, in order: those in Parts, one after the other, and
// then those in Body.
type Batch struct {
	N     int      // number of units
	Parts [][]byte // what came before Body, with long arguments where they were
	Body  []byte

	// Whole says that each of the long arguments fills the memory that it lies in, so that
	// the state machine of this node may keep it there.
	Whole bool

	// Late, if not nil, is told once what came of a batch for which Propose
	// answers ErrInDoubt: the replies, or an error. That is ErrInDoubt again if
	// nobody will ever know; any other says that nothing happened and nothing
	// will. It must not block.
	Late func(replies []resp.Value, err error)

	// Patience, if not zero, is how long b may wait while there is no leader, though the
	// context would let it wait longer.
	Patience time.Duration

	// Index, if not nil, is set to the index of the log entry that b was applied by, or
	// a later one, when Propose answers without an error.
	Index *uint64
}

// Size returns the length of the encoded units.
func (b *Batch) Size() int { return sizeOf(b.Parts) + len(b.Body) }

func sizeOf(parts [][]byte) (n int) {
	for _, p := range parts {
		n += len(p)
	}
	return n
}

// Add appends a single command to b. It copies args, but for those of ReferenceBytes or
// more: nobody may change these from then on.
func (b *Batch) Add(args Args) {
	b.N++
	b.Body = append(b.Body, unitPlain)
	b.addCommand(args)
}

// AddOwned is Add for a command whose entry says which client asked.
func (b *Batch) AddOwned(owner string, args Args) {
	b.N++
	b.Body = appendBytes(append(b.Body, unitOwned), []byte(owner))
	b.addCommand(args)
}

// AddMulti appends a transaction to b. It copies as Add does.
func (b *Batch) AddMulti(watches []Watch, cmds []Args) {
	b.N++
	b.Body = append(b.Body, unitMulti)
	b.Body = binary.AppendUvarint(b.Body, uint64(len(watches)))
	for _, w := range watches {
		b.Body = appendBytes(b.Body, w.Key)
		b.Body = binary.AppendUvarint(b.Body, w.Version)
	}
	b.Body = binary.AppendUvarint(b.Body, uint64(len(cmds)))
	for _, c := range cmds {
		b.addCommand(c)
	}
}

func (b *Batch) addCommand(args Args) {
	b.Body = binary.AppendUvarint(b.Body, uint64(len(args)))
	for _, a := range args {
		if len(a) < ReferenceBytes {
			b.Body = appendBytes(b.Body, a)
			continue
		}
		b.Parts = append(b.Parts, binary.AppendUvarint(b.Body, uint64(len(a))), a)
		b.Body = nil
	}
}

func appendBytes(dst, b []byte) []byte {
	return bulk.Append(binary.AppendUvarint(dst, uint64(len(b))), b)
}

// UnitReader walks the units of a Batch. The zero value is ready to Reset.
type UnitReader struct {
	rest []byte
	more [][]byte // what comes after rest
	args Args     // reused between units
}

// Reset starts r on the units in body.
func (r *UnitReader) Reset(body []byte) { r.rest, r.more = body, nil }

// ResetParts starts r on the units in parts, which come one after the other.
func (r *UnitReader) ResetParts(parts [][]byte) { r.rest, r.more = nil, parts }

// advance goes to the next part when one is read.
func (r *UnitReader) advance() {
	for len(r.rest) == 0 && len(r.more) > 0 {
		r.rest, r.more = r.more[0], r.more[1:]
	}
}

// left is how many bytes are not read yet.
func (r *UnitReader) left() int { return len(r.rest) + sizeOf(r.more) }

// join makes one part of what is left: something lies in two of them.
func (r *UnitReader) join() {
	whole := make([]byte, 0, r.left())
	for _, p := range append([][]byte{r.rest}, r.more...) {
		whole = bulk.Append(whole, p)
	}
	r.rest, r.more = whole, nil
}

// Done reports whether all units were read.
func (r *UnitReader) Done() bool {
	r.advance()
	return len(r.rest) == 0
}

// Unit is a decoded unit. Its slices point into the batch's body and are valid
// until the next call of Next.
type Unit struct {
	Multi   bool
	Owner   []byte // who asked; empty where nobody needs to know
	Watches []Watch
	Cmds    []Args
}

// Next decodes one unit.
func (r *UnitReader) Next(u *Unit) error {
	*u = Unit{Watches: u.Watches[:0], Cmds: u.Cmds[:0]}
	kind, err := r.byte()
	if err != nil {
		return err
	}
	switch kind {
	case unitOwned:
		if u.Owner, err = r.bytes(); err != nil {
			return err
		}
		fallthrough
	case unitPlain:
		args, err := r.command(r.args[:0])
		if err != nil {
			return err
		}
		r.args = args
		u.Cmds = append(u.Cmds, args)
		return nil
	case unitMulti:
		u.Multi = true
		return r.multi(u)
	default:
		return fmt.Errorf("%w: kind %d", ErrMalformedUnit, kind)
	}
}

func (r *UnitReader) multi(u *Unit) error {
	n, err := r.count(watchBytes)
	if err != nil {
		return err
	}
	for range n {
		var w Watch
		if w.Key, err = r.bytes(); err != nil {
			return err
		}
		if w.Version, err = r.uvarint(); err != nil {
			return err
		}
		u.Watches = append(u.Watches, w)
	}
	if n, err = r.count(commandBytes); err != nil {
		return err
	}
	for range n {
		args, err := r.command(nil)
		if err != nil {
			return err
		}
		u.Cmds = append(u.Cmds, args)
	}
	return nil
}

func (r *UnitReader) command(dst Args) (Args, error) {
	n, err := r.count(1)
	if err != nil {
		return nil, err
	}
	if n == 0 {
		return nil, fmt.Errorf("%w: empty command", ErrMalformedUnit)
	}
	for range n {
		b, err := r.bytes()
		if err != nil {
			return nil, err
		}
		dst = append(dst, b)
	}
	return dst, nil
}

func (r *UnitReader) byte() (byte, error) {
	r.advance()
	if len(r.rest) == 0 {
		return 0, fmt.Errorf("%w: short", ErrMalformedUnit)
	}
	b := r.rest[0]
	r.rest = r.rest[1:]
	return b, nil
}

func (r *UnitReader) uvarint() (uint64, error) {
	r.advance()
	v, n := binary.Uvarint(r.rest)
	if n == 0 && len(r.more) > 0 {
		r.join()
		v, n = binary.Uvarint(r.rest)
	}
	if n <= 0 {
		return 0, fmt.Errorf("%w: bad number", ErrMalformedUnit)
	}
	r.rest = r.rest[n:]
	return v, nil
}

// What the parts of a transaction take at least.
const (
	watchBytes   = 2
	commandBytes = 2
)

// count reads a number of things that take at least so many bytes each.
func (r *UnitReader) count(least int) (int, error) {
	v, err := r.uvarint()
	if err != nil {
		return 0, err
	}
	if v > uint64(r.left()/least) {
		return 0, fmt.Errorf("%w: count %d exceeds what follows", ErrMalformedUnit, v)
	}
	return int(v), nil
}

func (r *UnitReader) bytes() ([]byte, error) {
	n, err := r.count(1)
	if err != nil {
		return nil, err
	}
	if r.advance(); n > len(r.rest) {
		r.join()
	}
	b := r.rest[:n:n]
	r.rest = r.rest[n:]
	return b, nil
}

// RunUnit applies u and returns its reply: the command's own, or for a
// transaction the array of its commands' replies, or a null array when a
// watched key changed. It is total: a unit of commands that are unknown or that
// do not belong into a log answers with their errors.
func (t *Table) RunUnit(ctx *Ctx, u *Unit) resp.Value {
	if !u.Multi {
		if len(u.Cmds) != 1 {
			return resp.ErrorReply(errEmptyUnit)
		}
		return t.Exec(ctx, u.Cmds[0])
	}
	if v, no := t.unitElsewhere(ctx, u); no {
		return v
	}
	// As Redis does it: a transaction with a command that needs memory is
	// refused as a whole, before its watches are looked at; once it runs, its
	// commands are not held to the limit any more.
	if err := ctx.Growth(); err != nil && t.needsMemory(u) {
		if err == ErrOOM {
			err = errExecOOM
		}
		return resp.ErrorReply(err)
	}
	for _, w := range u.Watches {
		if !ctx.Unchanged(w) {
			return resp.NilArray
		}
	}
	run := t.prepare(u)
	if v, no := ctx.refusedUnit(run.ops); no {
		return v
	}
	replies := make([]resp.Value, len(u.Cmds))
	ctx.inMulti = true
	for i, op := range run.ops {
		if op == nil {
			replies[i] = run.wrong[i]
			continue
		}
		replies[i] = run.specs[i].Run(ctx, op)
	}
	ctx.inMulti = false
	return resp.Array(replies...)
}

// prepared are the commands of a transaction as they run.
type prepared struct {
	ops   []Op // nil where a command cannot run
	specs []*Spec
	wrong map[int]resp.Value // why it cannot
}

// prepare parses the commands of a transaction.
func (t *Table) prepare(u *Unit) prepared {
	out := prepared{ops: make([]Op, len(u.Cmds)), specs: make([]*Spec, len(u.Cmds))}
	for i, args := range u.Cmds {
		sp, err := t.CheckData(args)
		if err == nil && sp.Flags.Has(NoMulti) {
			err = errNotInMulti
		}
		var op Op
		if err == nil {
			op, err = sp.Parse(args)
		}
		if err != nil {
			if out.wrong == nil {
				out.wrong = make(map[int]resp.Value)
			}
			out.wrong[i] = resp.ErrorReply(err)
			continue
		}
		out.ops[i], out.specs[i] = op, sp
	}
	return out
}

func (t *Table) needsMemory(u *Unit) bool { return slices.ContainsFunc(u.Cmds, t.NeedsMemory) }
