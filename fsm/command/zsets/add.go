package zsets

import (
	"math"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/resp"
	"github.com/lockstepkv/lockstep/store"
	"github.com/lockstepkv/lockstep/store/effect"
	"github.com/lockstepkv/lockstep/store/value/zset"
)

var specZAdd = &command.Spec{
	Name: "zadd", Group: group, Arity: -4, Since: "1.2.0",
	Flags: command.Write | command.DenyOOM | command.Fast, ACL: acl, Keys: command.OneKey(command.RW | command.Update),
	Summary: "Gives members of a sorted set scores and answers how many of them are new. NX: new members only; XX: none; " +
		"GT, LT: only higher or lower scores; CH: counts changed ones too; INCR: adds to the score of one, and answers the sum.",
	Args: []command.Arg{command.Key("key"),
		command.Opt(command.OneOf("condition", command.Token("NX"), command.Token("XX"))),
		command.Opt(command.OneOf("comparison", command.Token("GT"), command.Token("LT"))),
		command.Opt(named("change", "CH")), command.Opt(named("increment", "INCR")),
		command.Many(command.Block("score_member", command.Double("score"), command.String("member")))},
	Parse: func(args command.Args) (command.Op, error) { return parseZAdd(args, zaddOp{}) },
}

var specZIncrBy = &command.Spec{
	Name: "zincrby", Group: group, Arity: 4, Since: "1.2.0",
	Flags: command.Write | command.DenyOOM | command.Fast, ACL: acl,
	Keys:    command.OneKey(command.RW | command.Access | command.Update),
	Summary: "Adds to the score of a member of a sorted set and answers the sum. An absent member has 0.",
	Args:    []command.Arg{command.Key("key"), command.Integer("increment"), command.String("member")},
	Parse:   func(args command.Args) (command.Op, error) { return parseZAdd(args, zaddOp{incr: true}) },
}

// named is a word that COMMAND DOCS has another name for.
func named(name, word string) command.Arg {
	a := command.Token(word)
	a.Name = name
	return a
}

type zaddOp struct {
	key                []byte
	nx, xx, gt, lt, ch bool
	incr               bool
	scores             []float64
	pairs              command.Args // score, member
}

const (
	errNXAndXX  = resp.Error("ERR XX and NX options at the same time are not compatible")
	errGTAndLT  = resp.Error("ERR GT, LT, and/or NX options at the same time are not compatible")
	errIncrPair = resp.Error("ERR INCR option supports a single increment-element pair")
)

// parseZAdd reads options and pairs. Redis looks for options in ZINCRBY, too.
func parseZAdd(args command.Args, op zaddOp) (command.Op, error) {
	op.key = args[1]
	rest := args[2:]
	for len(rest) > 0 && op.option(rest[0]) {
		rest = rest[1:]
	}
	switch {
	case len(rest) == 0 || len(rest)%2 != 0:
		return nil, command.ErrSyntax
	case op.nx && op.xx:
		return nil, errNXAndXX
	case op.gt && op.nx || op.lt && op.nx || op.gt && op.lt:
		return nil, errGTAndLT
	case op.incr && len(rest) > 2:
		return nil, errIncrPair
	}
	op.pairs, op.scores = rest, make([]float64, len(rest)/2)
	for i := range op.scores {
		var err error
		if op.scores[i], err = parseScore(rest[2*i]); err != nil {
			return nil, err
		}
	}
	return &op, nil
}

func (op *zaddOp) option(word []byte) bool {
	for _, o := range []struct {
		word string
		to   *bool
	}{{"NX", &op.nx}, {"XX", &op.xx}, {"GT", &op.gt}, {"LT", &op.lt}, {"CH", &op.ch}, {"INCR", &op.incr}} {
		if command.IsWord(word, o.word) {
			*o.to = true
			return true
		}
	}
	return false
}

// added is what ZADD did.
type added struct {
	fresh, changed int64
	score          float64 // of INCR
	processed      bool    // the conditions held for the last pair
	nan            bool
}

func (op *zaddOp) Run(ctx *command.Ctx) resp.Value {
	e, err := ctx.LookupOf(store.ZSet, op.key)
	if err != nil {
		return resp.ErrorReply(err)
	}
	lim := ctx.Limits.ZSet()
	var did added
	switch {
	case e != nil:
		ctx.UpdateZSet(e, func(z *zset.ZSet, edits *effect.Edits) bool {
			if len(op.scores) > lim.Members {
				z.Grow()
			}
			did = op.to(z, lim, edits)
			return did.fresh+did.changed > 0
		})
	case !op.xx:
		z := op.made(lim)
		did = op.to(z, lim, nil)
		ctx.PutCollection(op.key, z, 0)
	}
	switch {
	case did.nan:
		return resp.ErrorReply(command.OfValue(errNaN))
	case op.incr && !did.processed:
		return resp.Nil
	case op.incr:
		return resp.Double(did.score)
	case op.ch:
		return resp.Int(did.fresh + did.changed)
	}
	return resp.Int(did.fresh)
}

// made returns a new set in the form that Redis chooses, by the number of pairs, and the
// length of the first member.
func (op *zaddOp) made(lim zset.Limits) *zset.ZSet {
	if len(op.scores) > lim.Members || len(op.pairs[1]) > lim.Bytes {
		return zset.NewLarge()
	}
	return zset.New()
}

// to adds the pairs to z.
func (op *zaddOp) to(z *zset.ZSet, lim zset.Limits, edits *effect.Edits) (did added) {
	var said command.Args
	for i, score := range op.scores {
		member := op.pairs[2*i+1]
		was, there := z.Score(member)
		if op.incr && there {
			score += was
		}
		if did.nan = math.IsNaN(score); did.nan {
			return did
		}
		did.score, did.processed = score, op.applies(there, was, score)
		if !did.processed {
			continue
		}
		fresh, changed, _ := z.Add(member, score, lim)
		switch {
		case fresh:
			did.fresh++
		case changed:
			did.changed++
		}
		if changed && edits != nil {
			kept, _ := z.Score(member)
			said = append(said, zset.AppendText(nil, kept), member)
		}
	}
	if len(said) > 0 {
		edits.Say("ZADD", said...)
	}
	return did
}

// applies reports whether the conditions let a member have a score.
func (op *zaddOp) applies(there bool, was, score float64) bool {
	if !there {
		return !op.xx
	}
	return !op.nx && !(op.lt && score >= was) && !(op.gt && score <= was)
}
