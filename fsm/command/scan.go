package command

import (
	"strconv"

	"github.com/lockstepkv/lockstep/resp"
	"github.com/lockstepkv/lockstep/store"
)

const (
	// MaxScanCount bounds the work of one call of a SCAN, which holds up writers.
	MaxScanCount = 1 << 20
	// memberScanBytes is about how long a reply becomes before a MemberScan stops.
	memberScanBytes = 1 << 20
)

// ParseCursor reads a cursor as C's strtoul does, on which Redis leaves it: an
// empty one is 0, a sign is allowed and a negative number wraps around.
func ParseCursor(b []byte) (uint64, bool) {
	if len(b) == 0 {
		return 0, true
	}
	digits := b
	if b[0] == '-' || b[0] == '+' {
		digits = b[1:]
	}
	n, err := strconv.ParseUint(string(digits), 10, 64)
	if err != nil {
		return 0, false
	}
	if b[0] == '-' {
		n = -n
	}
	return n, true
}

// MemberScan is what HSCAN, SSCAN and ZSCAN have in common.
type MemberScan struct {
	Key      []byte
	NoValues bool // the command knows what that is

	of      store.Type
	cursor  uint64
	count   int
	pattern *Glob
	wrong   error // of the options: Redis looks at them when there is such a key
}

// MemberScanOptions are the options of all of them, and what is the command's own.
func MemberScanOptions(own ...Option[MemberScan]) *Options[MemberScan] {
	return NewOptions(append([]Option[MemberScan]{
		Value("MATCH", Pattern("pattern"), func(op *MemberScan, value []byte) (err error) {
			op.pattern, err = NewGlob(value)
			return err
		}),
		Count(MaxScanCount, func(op *MemberScan) *int { return &op.count }),
	}, own...)...)
}

// ParseMemberScan reads the arguments of a scan of values of type of.
func ParseMemberScan(args Args, of store.Type, options *Options[MemberScan]) (*MemberScan, error) {
	cursor, ok := ParseCursor(args[2])
	if !ok {
		return nil, ErrCursor
	}
	op := &MemberScan{Key: args[1], of: of, cursor: cursor, count: 10, pattern: GlobAll}
	op.wrong = options.Parse(args[3:], op)
	return op, nil
}

// Walk is ScanWhile of a collection. Elements are values of their own: see Copies.
type Walk func(e *store.Entry, cursor uint64, more func() bool, add func(member []byte, value ...resp.Value)) (next uint64)

// Scan answers op. walk goes over an entry of the right type.
func (op *MemberScan) Scan(ctx *Ctx, walk Walk) resp.Value {
	e, err := ctx.ReadOf(op.of, op.Key)
	if err != nil {
		return resp.ErrorReply(err)
	}
	if e == nil {
		return scanned(0, nil)
	}
	if op.wrong != nil {
		return resp.ErrorReply(op.wrong)
	}
	var found []resp.Value
	var copies Copies
	pattern, seen, bytes := op.pattern.Start(), 0, 0
	more := func() bool { return seen < op.count && bytes < memberScanBytes && !pattern.Slow }
	next := walk(e, op.cursor, more, func(member []byte, value ...resp.Value) {
		seen++
		if !pattern.Match(view(member)) {
			return
		}
		found = append(append(found, copies.Bulk(member)), value...)
		for _, v := range found[len(found)-1-len(value):] {
			bytes += ReplyCost(v)
		}
	})
	if pattern.Slow {
		return resp.ErrorReply(ErrGlobTooSlow)
	}
	return scanned(next, found)
}

func scanned(next uint64, found []resp.Value) resp.Value {
	return resp.Array(resp.Bulk(strconv.AppendUint(nil, next, 10)), resp.Array(found...))
}
