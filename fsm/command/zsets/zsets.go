package zsets

import (
	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/resp"
	"github.com/lockstepkv/lockstep/store"
	"github.com/lockstepkv/lockstep/store/value/zset"
)

// Commands lists the commands on sorted sets.
func Commands(t *command.Table) []*command.Spec {
	t.Register(kind)
	return []*command.Spec{
		specZAdd, specZIncrBy, specZRem,
		specZCard, specZScore, specZMScore, specZRank, specZRevRank, specZCount, specZLexCount,
		specZRange, specZRangeStore, specZRangeByScore, specZRevRangeByScore, specZRevRange, specZRangeByLex, specZRevRangeByLex,
		specZRemRangeByRank, specZRemRangeByScore, specZRemRangeByLex,
		specZPopMin, specZPopMax, specZMPop,
		specZUnion, specZInter, specZDiff, specZUnionStore, specZInterStore, specZDiffStore, specZInterCard,
		specZRandMember, specZScan,
	}
}

var kind = &command.Kind{
	Type: store.ZSet, Words: 2,
	Whole: func(e *store.Entry) resp.Value {
		r := replies{ZSet: e.ZSet(), scores: true}
		r.Ascend(0, r.add)
		return r.reply()
	},
	Make: func(ctx *command.Ctx, words command.Args) (store.Collection, error) {
		z := zset.New()
		for i := 0; i < len(words); i += 2 {
			score, err := parseScore(words[i])
			if err != nil {
				return nil, err
			}
			z.Add(words[i+1], score, ctx.Limits.ZSet())
		}
		return z, nil
	},
}

const (
	group = "sorted-set"

	errNotScore = resp.Error("ERR value is not a valid float")
	errNaN      = resp.Error("ERR resulting score is not a number (NaN)")
	errMinMax   = resp.Error("ERR min or max is not a float")
	errLexRange = resp.Error("ERR min or max not valid string range item")
	errPositive = resp.Error("ERR value is out of range, must be positive")
	errRange    = resp.Error("ERR value is out of range")
)

var acl = []string{"sortedset"}

// read returns the sorted set under key, nil for absent.
func read(ctx *command.Ctx, key []byte) (*zset.ZSet, error) { return of(ctx.ReadOf(store.ZSet, key)) }

// peek is read for ReplySize. What has another type is absent to it.
func peek(ctx *command.Ctx, key []byte) *zset.ZSet {
	z, _ := of(command.OfType(store.ZSet, ctx.Peek(key)))
	return z
}

func of(e *store.Entry, err error) (*zset.ZSet, error) {
	if e == nil {
		return nil, err
	}
	return e.ZSet(), nil
}

// replies makes replies of members of one sorted set.
type replies struct {
	*zset.ZSet
	scores bool // each member with its score
	list   []resp.Value
	copies command.Copies
}

func (r *replies) member(p []byte) resp.Value {
	if r.Lasting(p) {
		return resp.Bulk(p)
	}
	return r.copies.Bulk(p)
}

// add appends a member to the list.
func (r *replies) add(member []byte, score float64) bool {
	r.list = append(r.list, r.member(member))
	if r.scores {
		r.list = append(r.list, resp.Double(score))
	}
	return true
}

func (r *replies) reply() resp.Value { return listReply(r.list, r.scores) }

func listReply(list []resp.Value, scores bool) resp.Value {
	if scores {
		return resp.Pairs(list...)
	}
	return resp.Array(list...)
}

// span is a run of ranks: those from from on, up to the one before to.
type span struct{ from, to int }

func (s span) len() int { return max(s.to-s.from, 0) }

// each calls fn for the members of s in order, or from the last one on.
func (s span) each(z *zset.ZSet, reverse bool, fn func(member []byte, score float64) bool) {
	left := s.len()
	if left == 0 {
		return
	}
	next := func(member []byte, score float64) bool {
		left--
		return fn(member, score) && left > 0
	}
	if reverse {
		z.Descend(s.to-1, next)
	} else {
		z.Ascend(s.from, next)
	}
}

// sizeSurely is the size of a reply up to which nobody needs it exactly.
const sizeSurely = 1 << 20

// size is ReplySize for the members of s.
func (s span) size(z *zset.ZSet, scores bool) (bytes, values int) {
	values = s.len()
	if scores {
		values *= 2
	}
	if bytes = command.ValueBytes * (values + 1); bytes+int(z.Size()) <= sizeSurely {
		return bytes + int(z.Size()), values
	}
	s.each(z, false, func(member []byte, _ float64) bool {
		bytes += len(member)
		return true
	})
	return bytes, values
}
