package sets

import (
	"slices"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/resp"
	"github.com/lockstepkv/lockstep/store/value/set"
)

// keysOf are the arguments of SINTER, SUNION and SDIFF.
func keysOf() []command.Arg { return []command.Arg{command.Many(command.Key("key"))} }

// storeArgs are those of the forms that store the result.
func storeArgs() []command.Arg {
	return []command.Arg{command.Key("destination"), command.Many(command.Key("key"))}
}

func storeKeys(use command.KeyUse) []command.KeySpec {
	return []command.KeySpec{
		{First: 1, Last: 1, Step: 1, Use: use | command.Update},
		{First: 2, Last: -1, Step: 1, Use: command.RO | command.Access},
	}
}

var specSInter = &command.Spec{
	Name: "sinter", Group: "set", Arity: -2, Since: "1.0.0",
	Flags: command.ReadOnly, ACL: acl, Keys: command.AllKeys(command.RO | command.Access),
	Summary: "Answers the members that several sets have in common.",
	Args:    keysOf(),
	Parse:   func(args command.Args) (command.Op, error) { return algebraOp{intersection, args[1:]}, nil },
}

var specSInterStore = &command.Spec{
	Name: "sinterstore", Group: "set", Arity: -3, Since: "1.0.0",
	Flags: command.Write | command.DenyOOM, ACL: acl, Keys: storeKeys(command.RW),
	Summary: "Stores the members that several sets have in common, and answers how many they are.",
	Args:    storeArgs(),
	Parse: func(args command.Args) (command.Op, error) {
		return storeOp{args[1], algebraOp{intersection, args[2:]}}, nil
	},
}

var specSUnion = &command.Spec{
	Name: "sunion", Group: "set", Arity: -2, Since: "1.0.0",
	Flags: command.ReadOnly, ACL: acl, Keys: command.AllKeys(command.RO | command.Access),
	Summary: "Answers the members of several sets.",
	Args:    keysOf(),
	Parse:   func(args command.Args) (command.Op, error) { return algebraOp{union, args[1:]}, nil },
}

var specSUnionStore = &command.Spec{
	Name: "sunionstore", Group: "set", Arity: -3, Since: "1.0.0",
	Flags: command.Write | command.DenyOOM, ACL: acl, Keys: storeKeys(command.OW),
	Summary: "Stores the members of several sets, and answers how many they are.",
	Args:    storeArgs(),
	Parse: func(args command.Args) (command.Op, error) {
		return storeOp{args[1], algebraOp{union, args[2:]}}, nil
	},
}

var specSDiff = &command.Spec{
	Name: "sdiff", Group: "set", Arity: -2, Since: "1.0.0",
	Flags: command.ReadOnly, ACL: acl, Keys: command.AllKeys(command.RO | command.Access),
	Summary: "Answers the members of the first set that no other has.",
	Args:    keysOf(),
	Parse:   func(args command.Args) (command.Op, error) { return algebraOp{difference, args[1:]}, nil },
}

var specSDiffStore = &command.Spec{
	Name: "sdiffstore", Group: "set", Arity: -3, Since: "1.0.0",
	Flags: command.Write | command.DenyOOM, ACL: acl, Keys: storeKeys(command.OW),
	Summary: "Stores the members of the first set that no other has, and answers how many they are.",
	Args:    storeArgs(),
	Parse: func(args command.Args) (command.Op, error) {
		return storeOp{args[1], algebraOp{difference, args[2:]}}, nil
	},
}

// algebraOp computes a set of several.
type algebraOp struct {
	// compute returns a new set. Absent ones are nil.
	compute func(sets []*set.Set, lim set.Limits) *set.Set
	keys    command.Args
}

// result reads the sets, all of them, since any may be of another type.
func (op algebraOp) result(ctx *command.Ctx) (*set.Set, error) {
	sets, err := readAll(ctx, op.keys)
	if err != nil {
		return nil, err
	}
	return op.compute(sets, ctx.Limits.Sets()), nil
}

func readAll(ctx *command.Ctx, keys command.Args) ([]*set.Set, error) {
	sets := make([]*set.Set, len(keys))
	for i, key := range keys {
		var err error
		if sets[i], err = read(ctx, key); err != nil {
			return nil, err
		}
	}
	return sets, nil
}

// Run answers a set that nobody changes any more.
func (op algebraOp) Run(ctx *command.Ctx) resp.Value {
	s, err := op.result(ctx)
	if err != nil {
		return resp.ErrorReply(err)
	}
	return resp.Set(all(s)...)
}

// storeOp puts the result under a key, whatever was there.
type storeOp struct {
	to []byte
	algebraOp
}

func (op storeOp) Run(ctx *command.Ctx) resp.Value {
	s, err := op.result(ctx)
	if err != nil {
		return resp.ErrorReply(err)
	}
	if s.Len() == 0 {
		ctx.Remove(op.to)
		return resp.Zero
	}
	ctx.PutCollection(op.to, s, 0)
	return resp.Int(int64(s.Len()))
}

// bySize orders sets such that the smallest comes first. It reports false when one is absent.
func bySize(sets []*set.Set) bool {
	if slices.Contains(sets, nil) {
		return false
	}
	slices.SortStableFunc(sets, func(a, b *set.Set) int { return a.Len() - b.Len() })
	return true
}

// eachCommon calls fn for the members that all sets have, in the order of the first one.
func eachCommon(sets []*set.Set, fn func(member []byte) bool) {
	sets[0].Each(func(member []byte) bool {
		for _, s := range sets[1:] {
			if s != sets[0] && !s.Has(member) {
				return true
			}
		}
		return fn(member)
	})
}

// intersection has a form for integers if it has nothing else, whatever the sets are.
func intersection(sets []*set.Set, lim set.Limits) *set.Set {
	common := new(set.Set)
	if !bySize(sets) {
		return common
	}
	if sets[0].Ints() {
		common = set.NewInts()
	}
	eachCommon(sets, func(member []byte) bool {
		common.Add(member, lim)
		return true
	})
	common.ToInts(lim)
	return common
}

func union(sets []*set.Set, lim set.Limits) *set.Set {
	whole := set.NewInts()
	done := make(map[*set.Set]bool, len(sets))
	for _, s := range sets {
		if s == nil || done[s] {
			continue
		}
		done[s] = true
		addAll(whole, s, lim)
	}
	return whole
}

func addAll(to, from *set.Set, lim set.Limits) {
	from.Each(func(member []byte) bool {
		to.Add(member, lim)
		return true
	})
}

// difference goes one of two ways, as Redis: it looks for each member in the other sets, or
// takes the members of these out of a copy. The form may show which.
func difference(sets []*set.Set, lim set.Limits) *set.Set {
	rest, first := set.NewInts(), sets[0]
	if first == nil || slices.Contains(sets[1:], first) {
		return rest
	}
	look, take := 0, 0
	for _, s := range sets {
		if s != nil {
			look, take = look+first.Len(), take+s.Len()
		}
	}
	others := slices.DeleteFunc(slices.Clone(sets[1:]), func(s *set.Set) bool { return s == nil })
	if look/2 > take {
		addAll(rest, first, lim)
		for _, s := range others {
			s.Each(func(member []byte) bool {
				rest.Remove(member)
				return rest.Len() > 0
			})
		}
		return rest
	}
	slices.SortStableFunc(others, func(a, b *set.Set) int { return b.Len() - a.Len() })
	first.Each(func(member []byte) bool {
		if !slices.ContainsFunc(others, func(s *set.Set) bool { return s.Has(member) }) {
			rest.Add(member, lim)
		}
		return true
	})
	return rest
}

var specSInterCard = &command.Spec{
	Name: "sintercard", Group: "set", Arity: -3, Since: "7.0.0",
	Flags: command.ReadOnly | command.MovableKeys, ACL: acl,
	Keys:     []command.KeySpec{{Count: 1, Use: command.RO | command.Access}},
	FindKeys: command.CountedKeys(1),
	Summary:  "Answers how many members several sets have in common, with LIMIT no more than that.",
	Args: []command.Arg{command.Integer("numkeys"), command.Many(command.Key("key")),
		command.Opt(command.Integer("limit").After("LIMIT"))},
	Parse: parseSInterCard,
}

type sintercardOp struct {
	keys  command.Args
	limit int64 // 0: none
}

func parseSInterCard(args command.Args) (command.Op, error) {
	n, ok := command.ParseInt(args[1])
	switch {
	case !ok || n < 1:
		return nil, errNumKeys
	case n > int64(len(args)-2):
		return nil, errManyKeys
	}
	op := sintercardOp{keys: args[2 : 2+n]}
	for rest := args[2+n:]; len(rest) > 0; rest = rest[2:] {
		if len(rest) < 2 || !command.IsWord(rest[0], "LIMIT") {
			return nil, command.ErrSyntax
		}
		if op.limit, ok = command.ParseInt(rest[1]); !ok || op.limit < 0 {
			return nil, errLimit
		}
	}
	return op, nil
}

func (op sintercardOp) Run(ctx *command.Ctx) resp.Value {
	sets, err := readAll(ctx, op.keys)
	if err != nil {
		return resp.ErrorReply(err)
	}
	if !bySize(sets) {
		return resp.Zero
	}
	n := int64(0)
	eachCommon(sets, func([]byte) bool {
		n++
		return n != op.limit
	})
	return resp.Int(n)
}
