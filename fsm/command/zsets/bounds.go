package zsets

import (
	"bytes"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/store/value/zset"
)

// rangeKind is what a range goes by.
type rangeKind uint8

const (
	byRank rangeKind = iota
	byScore
	byLex
)

// bounds is a range of a sorted set, of whichever kind.
type bounds interface {
	// in returns the members of z in the range. backwards says that they are asked for from
	// the last one on: that matters where the range has no meaning, as one by lex has none
	// where scores differ.
	in(z *zset.ZSet, backwards bool) span
}

func parseRange(by rangeKind, from, to []byte) (bounds, error) {
	switch by {
	case byScore:
		return parseScores(from, to)
	case byLex:
		return parseLexes(from, to)
	}
	first, err := command.IntArg(from)
	if err != nil {
		return nil, err
	}
	last, err := command.IntArg(to)
	return ranks{first, last, false}, err
}

// ranks are from first to last, which count from the end when they are below 0.
type ranks struct {
	first, last int64
	reverse     bool // they are counted from the highest score on
}

func (r ranks) in(z *zset.ZSet, _ bool) span {
	n := int64(z.Len())
	first, last := r.first, r.last
	if first < 0 {
		first = max(first+n, 0)
	}
	if last < 0 {
		last += n
	}
	last = min(last, n-1)
	if first > last {
		return span{}
	}
	if r.reverse {
		return span{int(n - 1 - last), int(n - first)}
	}
	return span{int(first), int(last + 1)}
}

// scoreRange are the scores from min to max, or without one of them, or both.
type scoreRange struct {
	min, max           float64
	aboveMin, belowMax bool
}

func parseScores(from, to []byte) (r scoreRange, err error) {
	if from, r.aboveMin = bytes.CutPrefix(from, []byte("(")); r.aboveMin {
		from = from[:len(from):len(from)]
	}
	to, r.belowMax = bytes.CutPrefix(to, []byte("("))
	if r.min, err = parseBound(from); err != nil {
		return r, err
	}
	r.max, err = parseBound(to)
	return r, err
}

func (r scoreRange) in(z *zset.ZSet, _ bool) span {
	if r.min > r.max || r.min == r.max && (r.aboveMin || r.belowMax) {
		return span{}
	}
	return span{z.Below(r.min, r.aboveMin), z.Below(r.max, !r.belowMax)}
}

// lex is one end of a range by lex.
type lex struct {
	member    []byte
	exclusive bool
	infinite  int // -1 before all members, 1 behind them
}

func parseLex(b []byte) (lex, error) {
	if len(b) == 0 {
		return lex{}, errLexRange
	}
	alone := len(b) == 1 || b[1] == 0
	switch {
	case b[0] == '+' && alone:
		return lex{infinite: 1, exclusive: false}, nil
	case b[0] == '-' && alone:
		return lex{infinite: -1, exclusive: false}, nil
	case b[0] == '(' || b[0] == '[':
		return lex{member: b[1:], exclusive: b[0] == '('}, nil
	}
	return lex{}, errLexRange
}

// compare compares a member with the place of l.
func (l lex) compare(member []byte) int {
	if l.infinite != 0 {
		return -l.infinite
	}
	return bytes.Compare(member, l.member)
}

type lexRange struct{ min, max lex }

func parseLexes(from, to []byte) (r lexRange, err error) {
	if r.min, err = parseLex(from); err != nil {
		return r, err
	}
	r.max, err = parseLex(to)
	return r, err
}

func (r lexRange) above(member []byte) bool {
	c := r.min.compare(member)
	return c > 0 || c == 0 && !r.min.exclusive
}

func (r lexRange) below(member []byte) bool {
	c := r.max.compare(member)
	return c < 0 || c == 0 && !r.max.exclusive
}

// empty reports whether no member can be in the range.
func (r lexRange) empty() bool {
	if r.min.infinite != 0 || r.max.infinite != 0 {
		return r.min.infinite > r.max.infinite || r.min.infinite == r.max.infinite && (r.min.exclusive || r.max.exclusive)
	}
	c := bytes.Compare(r.min.member, r.max.member)
	return c > 0 || c == 0 && (r.min.exclusive || r.max.exclusive)
}

// in looks as Redis does: the ends of the set first, then for the first member that is not
// before the range, and from there on.
func (r lexRange) in(z *zset.ZSet, backwards bool) span {
	if r.empty() || z.Len() == 0 {
		return span{}
	}
	first, _ := z.At(0)
	if last, _ := z.At(z.Len() - 1); !r.above(last) || !r.below(first) {
		return span{}
	}
	if !z.Packed() {
		return span{z.First(r.above), z.Last(r.below) + 1}
	}
	if backwards {
		to := z.Last(r.below)
		s := span{to + 1, to + 1}
		z.Descend(to, func(member []byte, _ float64) bool {
			if r.above(member) {
				s.from--
				return true
			}
			return false
		})
		return s
	}
	s := span{from: z.First(r.above)}
	s.to = s.from
	z.Ascend(s.from, func(member []byte, _ float64) bool {
		if r.below(member) {
			s.to++
			return true
		}
		return false
	})
	return s
}
