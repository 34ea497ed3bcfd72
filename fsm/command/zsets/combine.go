package zsets

import (
	"bytes"
	"cmp"
	"math"
	"slices"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/resp"
	"github.com/lockstepkv/lockstep/store"
	"github.com/lockstepkv/lockstep/store/value/set"
	"github.com/lockstepkv/lockstep/store/value/zset"
)

// operation is what becomes of several sets.
type operation uint8

const (
	union operation = iota
	inter
	diff
)

var specZUnion = combineSpec("zunion", "6.2.0", "the members of any of several sorted sets", union)

var specZInter = combineSpec("zinter", "6.2.0", "the members that all of several sorted sets have", inter)

var specZDiff = combineSpec("zdiff", "6.2.0", "the members of a sorted set that others do not have", diff)

var specZUnionStore = storeSpec("zunionstore", "2.0.0", "ZUNION", union)

var specZInterStore = storeSpec("zinterstore", "2.0.0", "ZINTER", inter)

var specZDiffStore = storeSpec("zdiffstore", "6.2.0", "ZDIFF", diff)

var specZInterCard = &command.Spec{
	Name: "zintercard", Group: group, Arity: -3, Since: "7.0.0",
	Flags: command.ReadOnly | command.MovableKeys, ACL: acl,
	Keys: []command.KeySpec{{Count: 1, Use: command.RO | command.Access}}, FindKeys: findSources("zintercard", 1),
	Summary: "Answers how many members all of several sorted sets have, and does not count beyond a limit.",
	Args:    []command.Arg{command.Integer("numkeys"), command.Many(command.Key("key")), command.Opt(command.Integer("limit").After("LIMIT"))},
	Parse: func(args command.Args) (command.Op, error) {
		return parseCombine("zintercard", args, 1, combineOp{op: inter, card: true})
	},
}

func combineSpec(name, since, what string, op operation) *command.Spec {
	return &command.Spec{
		Name: name, Group: group, Arity: -3, Since: since,
		Flags: command.ReadOnly | command.MovableKeys, ACL: acl,
		Keys: []command.KeySpec{{Count: 1, Use: command.RO | command.Access}}, FindKeys: findSources(name, 1),
		Summary: "Answers " + what + ".",
		Args:    append(combineArgs(op), withScoresArg()),
		Parse:   func(args command.Args) (command.Op, error) { return parseCombine(name, args, 1, combineOp{op: op}) },
	}
}

func storeSpec(name, since, of string, op operation) *command.Spec {
	return &command.Spec{
		Name: name, Group: group, Arity: -4, Since: since,
		Flags: command.Write | command.DenyOOM | command.MovableKeys, ACL: acl,
		Keys:     []command.KeySpec{{First: 1, Last: 1, Step: 1, Use: command.OW | command.Update}, {Count: 2, Use: command.RO | command.Access}},
		FindKeys: findSources(name, 2),
		Summary:  "Puts what " + of + " answers into a key, over whatever is there, and answers the number of members.",
		Args:     append([]command.Arg{command.Key("destination")}, combineArgs(op)...),
		Parse: func(args command.Args) (command.Op, error) {
			return parseCombine(name, args, 2, combineOp{op: op, to: args[1], store: true})
		},
	}
}

func combineArgs(op operation) []command.Arg {
	args := []command.Arg{command.Integer("numkeys"), command.Many(command.Key("key"))}
	if op == diff {
		return args
	}
	return append(args, command.Opt(command.Many(command.Integer("weight").After("WEIGHTS"))),
		command.Opt(command.OneOf("aggregate", command.Token("SUM"), command.Token("MIN"), command.Token("MAX")).After("AGGREGATE")))
}

const (
	errWeight        = resp.Error("ERR weight value is not a float")
	errNegativeLimit = resp.Error("ERR LIMIT can't be negative")
)

// sources reads the keys behind their number, which is at a place of args.
func sources(name string, args command.Args, at int) (command.Args, error) {
	n, err := command.IntArg(args[at])
	switch {
	case err != nil:
		return nil, err
	case n < 1:
		return nil, resp.Error("ERR at least 1 input key is needed for '" + name + "' command")
	case n > int64(len(args)-at-1):
		return nil, command.ErrSyntax
	}
	return args[at+1 : at+1+int(n) : at+1+int(n)], nil
}

func findSources(name string, at int) func(args command.Args) ([][]byte, error) {
	return func(args command.Args) ([][]byte, error) {
		keys, err := sources(name, args, at)
		if err != nil || at == 1 {
			return keys, err
		}
		return append([][]byte{args[1]}, keys...), nil
	}
}

// combineOp makes a sorted set of several.
type combineOp struct {
	op        operation
	to        []byte
	store     bool
	card      bool // only the number is asked for
	keys      command.Args
	weights   []float64
	aggregate func(a, b float64) float64
	scores    bool
	limit     int64
	wrong     error // of the options: Redis looks at them after the keys
}

func parseCombine(name string, args command.Args, at int, op combineOp) (command.Op, error) {
	var err error
	if op.keys, err = sources(name, args, at); err != nil {
		return nil, err
	}
	op.aggregate = add
	op.wrong = op.options(args[at+1+len(op.keys):])
	return &op, nil
}

func (op *combineOp) options(words command.Args) error {
	for len(words) > 0 {
		used := 0
		var err error
		switch word := words[0]; {
		case op.op != diff && !op.card && len(words) > len(op.keys) && command.IsWord(word, "WEIGHTS"):
			used, err = 1+len(op.keys), op.weigh(words[1:1+len(op.keys)])
		case op.op != diff && !op.card && len(words) > 1 && command.IsWord(word, "AGGREGATE"):
			used, err = 2, op.choose(words[1])
		case !op.store && !op.card && command.IsWord(word, "WITHSCORES"):
			used, op.scores = 1, true
		case op.card && len(words) > 1 && command.IsWord(word, "LIMIT"):
			used, err = 2, op.bound(words[1])
		default:
			err = command.ErrSyntax
		}
		if err != nil {
			return err
		}
		words = words[used:]
	}
	return nil
}

func (op *combineOp) bound(word []byte) error {
	var ok bool
	if op.limit, ok = command.ParseInt(word); !ok || op.limit < 0 {
		return errNegativeLimit
	}
	return nil
}

func (op *combineOp) weigh(words command.Args) error {
	op.weights = make([]float64, len(words))
	for i := range words {
		var err error
		if op.weights[i], err = parseScore(words[i]); err != nil {
			return errWeight
		}
	}
	return nil
}

func (op *combineOp) choose(word []byte) error {
	switch {
	case command.IsWord(word, "SUM"):
		op.aggregate = add
	case command.IsWord(word, "MIN"):
		op.aggregate = func(a, b float64) float64 {
			if b < a {
				return b
			}
			return a
		}
	case command.IsWord(word, "MAX"):
		op.aggregate = func(a, b float64) float64 {
			if b > a {
				return b
			}
			return a
		}
	default:
		return command.ErrSyntax
	}
	return nil
}

// add is the sum, 0 of opposite infinities.
func add(a, b float64) float64 { return orZero(a + b) }

func orZero(f float64) float64 {
	if math.IsNaN(f) {
		return 0
	}
	return f
}

// source is one of the sets: a sorted one, or one whose members count with a score of 1. It has
// neither when it is empty.
type source struct {
	zset   *zset.ZSet
	set    *set.Set
	weight float64
}

// sourceOf returns the source under key.
func sourceOf(ctx *command.Ctx, key []byte) (source, error) {
	switch e := ctx.Read(key); {
	case e == nil:
		return source{weight: 1}, nil
	case e.Type() == store.ZSet:
		return source{zset: e.ZSet(), weight: 1}, nil
	case e.Type() == store.Set:
		return source{set: e.Set(), weight: 1}, nil
	}
	return source{}, command.ErrWrongType
}

func (s source) len() int {
	switch {
	case s.zset != nil:
		return s.zset.Len()
	case s.set != nil:
		return s.set.Len()
	}
	return 0
}

func (s source) weighed(score float64) float64 { return orZero(s.weight * score) }

func (s source) score(member []byte) (score float64, ok bool) {
	switch {
	case s.zset != nil:
		return s.zset.Score(member)
	case s.set != nil:
		return 1, s.set.Has(member)
	}
	return 0, false
}

// each calls fn for all members until it returns false. What fn is given it may keep until the
// sets change.
func (s source) each(fn func(member []byte, score float64) bool) {
	switch {
	case s.zset != nil:
		s.zset.Ascend(0, fn)
	case s.set != nil:
		ints := s.set.Ints()
		s.set.Each(func(member []byte) bool {
			if ints { // which are written as text for each call
				member = bytes.Clone(member)
			}
			return fn(member, 1)
		})
	}
}

func (op *combineOp) Run(ctx *command.Ctx) resp.Value {
	list := make([]source, len(op.keys))
	for i, key := range op.keys {
		var err error
		if list[i], err = sourceOf(ctx, key); err != nil {
			return resp.ErrorReply(err)
		}
		if op.weights != nil {
			list[i].weight = op.weights[i]
		}
	}
	if op.wrong != nil {
		return resp.ErrorReply(op.wrong)
	}
	if op.card {
		return resp.Int(op.count(list))
	}
	found := op.combine(list)
	if op.store {
		return found.put(ctx, op.to)
	}
	return found.reply(op.scores)
}

// combine returns the elements of the result in order.
func (op *combineOp) combine(list []source) (found elements) {
	switch op.op {
	case union:
		found = op.union(smallestFirst(list))
	case inter:
		op.inter(smallestFirst(list), func(member []byte, score float64) bool {
			found = append(found, element{member, score})
			return true
		})
	default:
		found = difference(list)
	}
	slices.SortFunc(found, func(a, b element) int {
		if c := cmp.Compare(a.score, b.score); c != 0 && a.score != b.score {
			return c
		}
		return bytes.Compare(a.member, b.member)
	})
	return found
}

// smallestFirst is the order in which Redis adds up scores.
func smallestFirst(list []source) []source {
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(a, b source) int { return cmp.Compare(a.len(), b.len()) })
	return list
}

func (op *combineOp) union(list []source) (found elements) {
	at := map[string]int{}
	for _, s := range list {
		s.each(func(member []byte, score float64) bool {
			score = s.weighed(score)
			if i, there := at[string(member)]; there {
				found[i].score = op.aggregate(found[i].score, score)
				return true
			}
			at[string(member)] = len(found)
			found = append(found, element{member, score})
			return true
		})
	}
	return found
}

// inter calls fn for the members that all have, until it returns false.
func (op *combineOp) inter(list []source, fn func(member []byte, score float64) bool) {
	list[0].each(func(member []byte, score float64) bool {
		score = list[0].weighed(score)
		for _, s := range list[1:] {
			other, ok := s.score(member)
			if !ok {
				return true
			}
			score = op.aggregate(score, s.weighed(other))
		}
		return fn(member, score)
	})
}

func (op *combineOp) count(list []source) (n int64) {
	op.inter(smallestFirst(list), func([]byte, float64) bool {
		n++
		return n != op.limit
	})
	return n
}

func difference(list []source) (found elements) {
	list[0].each(func(member []byte, score float64) bool {
		for _, s := range list[1:] {
			if _, there := s.score(member); there {
				return true
			}
		}
		found = append(found, element{member, score})
		return true
	})
	return found
}

func (list elements) reply(scores bool) resp.Value {
	r := replies{ZSet: zset.New(), scores: scores} // whose members do not last
	for _, is := range list {
		r.add(is.member, is.score)
	}
	return r.reply()
}
