package forward

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/internal/wire"
	"github.com/lockstepkv/lockstep/resp"
)

// ErrMalformed is the error of a message that cannot be read.
var ErrMalformed = errors.New("malformed message about a shard elsewhere")

// Flags of a request.
const (
	flagStale = 1 << iota
	flagNoTouch
	flagBound
)

// AppendRequest appends r but for its units, which follow as they are:
//
//	request = flags:byte uvarint(reply bytes) uvarint(max staleness, ms) uvarint(min index) uvarint(units) unit*
func AppendRequest(dst []byte, opt command.ReadOptions, r *command.Request) []byte {
	var flags byte
	if opt.Consistency == command.Stale {
		flags |= flagStale
	}
	if r.NoTouch {
		flags |= flagNoTouch
	}
	if r.BoundReplies {
		flags |= flagBound
	}
	dst = binary.AppendUvarint(append(dst, flags), uint64(max(r.ReplyBytes, 0)))
	dst = binary.AppendUvarint(dst, uint64(ceilMillis(opt.MaxStaleness)))
	dst = binary.AppendUvarint(dst, opt.MinIndex)
	return binary.AppendUvarint(dst, uint64(r.Units.N))
}

// ceilMillis does not make "any age" of a very short one.
func ceilMillis(d time.Duration) int64 {
	return int64((max(d, 0) + time.Millisecond - 1) / time.Millisecond)
}

// DecodeRequest reads what AppendRequest wrote, and returns the units.
func DecodeRequest(msg []byte) (opt command.ReadOptions, r command.Request, units []byte, err error) {
	if len(msg) == 0 || msg[0] >= flagBound<<1 {
		return opt, r, nil, fmt.Errorf("%w: flags", ErrMalformed)
	}
	flags, rest := msg[0], msg[1:]
	var v [4]uint64
	for i := range v {
		var ok bool
		if v[i], rest, ok = wire.CutUvarint(rest); !ok {
			return opt, r, nil, fmt.Errorf("%w: number", ErrMalformed)
		}
	}
	const most = 1 << 40 // of bytes, milliseconds and units alike
	if v[0] > most || v[1] > most || v[3] > uint64(len(rest)) {
		return opt, r, nil, fmt.Errorf("%w: a number is too large", ErrMalformed)
	}
	if flags&flagStale != 0 {
		opt.Consistency = command.Stale
	}
	opt.MaxStaleness, opt.MinIndex = time.Duration(v[1])*time.Millisecond, v[2]
	r.NoTouch, r.BoundReplies = flags&flagNoTouch != 0, flags&flagBound != 0
	r.ReplyBytes, r.Units.N = int(v[0]), int(v[3])
	return opt, r, rest, nil
}

// Outcomes of a request.
const (
	outcomeAnswered    byte = iota + 1
	outcomeNotHere          // the node has no replica
	outcomeUnavailable      // it cannot say which state is new enough
	outcomeStale            // its state is older than was asked for
)

var (
	// ErrNotHere is what a node says that has no replica of the shard.
	ErrNotHere = errors.New("this node has no replica of the shard")
	errNotNow  = fmt.Errorf("%w: the node with a replica could not confirm the read", command.ErrUnavailable)
)

// AppendAnswer appends what came of a request.
//
//	answer = 1 uvarint(index) uvarint(age, us) uvarint(reply bytes) uvarint(hits) uvarint(misses) uvarint(keys) uvarint(replies) reply*
//	       | 2 | 3 | 4 uvarint(age, us)
func AppendAnswer(dst []byte, info command.ReadInfo, a *command.Answer, err error) []byte {
	switch {
	case errors.Is(err, ErrNotHere):
		return append(dst, outcomeNotHere)
	case errors.Is(err, command.ErrTooStale):
		return binary.AppendUvarint(append(dst, outcomeStale), uint64(info.Age.Microseconds()))
	case err != nil:
		return append(dst, outcomeUnavailable)
	}
	size := 1 + 7*binary.MaxVarintLen64
	for i := range a.Replies {
		size += a.Replies[i].BinarySize()
	}
	dst = append(append(make([]byte, 0, len(dst)+size), dst...), outcomeAnswered)
	dst = binary.AppendUvarint(dst, info.Index)
	for _, n := range [...]int64{info.Age.Microseconds(), int64(a.ReplyBytes), int64(a.Hits), int64(a.Misses), int64(a.Keys), int64(len(a.Replies))} {
		dst = binary.AppendUvarint(dst, uint64(max(n, 0)))
	}
	for i := range a.Replies {
		dst = resp.AppendBinary(dst, a.Replies[i])
	}
	return dst
}

// DecodeAnswer reads what AppendAnswer wrote, to a request of so many units.
func DecodeAnswer(msg []byte, units int) (info command.ReadInfo, a command.Answer, err error) {
	if len(msg) == 0 {
		return info, a, fmt.Errorf("%w: empty answer", ErrMalformed)
	}
	outcome, rest := msg[0], msg[1:]
	switch outcome {
	case outcomeNotHere:
		return info, a, ErrNotHere
	case outcomeUnavailable:
		return info, a, errNotNow
	case outcomeStale:
		age, _, ok := wire.CutUvarint(rest)
		if !ok {
			return info, a, fmt.Errorf("%w: age", ErrMalformed)
		}
		info.Age = time.Duration(age) * time.Microsecond
		return info, a, fmt.Errorf("%w: %v", command.ErrTooStale, info.Age)
	case outcomeAnswered:
	default:
		return info, a, fmt.Errorf("%w: outcome %d", ErrMalformed, outcome)
	}
	var v [7]uint64
	for i := range v {
		var ok bool
		if v[i], rest, ok = wire.CutUvarint(rest); !ok || i > 0 && v[i] > 1<<50 {
			return info, a, fmt.Errorf("%w: number", ErrMalformed)
		}
	}
	if v[6] != uint64(units) {
		return info, a, fmt.Errorf("%w: %d replies to %d units", ErrMalformed, v[6], units)
	}
	info = command.ReadInfo{Index: v[0], Age: time.Duration(v[1]) * time.Microsecond}
	a = command.Answer{ReplyBytes: int(v[2]), Hits: int(v[3]), Misses: int(v[4]), Keys: int(v[5])}
	if a.Replies, rest, err = resp.DecodeBinaryList(rest, v[6]); err != nil {
		return info, a, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if len(rest) > 0 {
		return info, a, fmt.Errorf("%w: %d bytes too many", ErrMalformed, len(rest))
	}
	return info, a, nil
}
