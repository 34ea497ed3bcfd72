package bits

import (
	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/resp"
	"github.com/lockstepkv/lockstep/store"
	"github.com/lockstepkv/lockstep/store/value/bits"
)

// unit is the choice of what a range counts in.
func unit() command.Arg {
	return command.Opt(command.OneOf("index_unit", command.Token("BYTE"), command.Token("BIT")))
}

var specBitCount = &command.Spec{
	Name: "bitcount", Group: "bitmap", Arity: -2, Since: "2.6.0",
	Flags: command.ReadOnly, ACL: []string{"bitmap"}, Keys: command.OneKey(command.RO | command.Access),
	Summary: "Counts the bits of a string, or of a part of it, that are set.",
	Args: []command.Arg{
		command.Key("key"), command.Opt(command.Block("index", command.Integer("start"), command.Integer("end"), unit())),
	},
	Parse: func(args command.Args) (command.Op, error) { return bitCountOp{args[1], args[2:]}, nil },
}

// bitCountOp reads its range when it runs: Redis answers for an absent key before it looks at that.
type bitCountOp struct {
	key []byte
	in  command.Args
}

func (op bitCountOp) Run(ctx *command.Ctx) resp.Value {
	e, err := ctx.ReadOf(store.String, op.key)
	switch {
	case err != nil:
		return resp.ErrorReply(err)
	case e == nil:
		return resp.Zero
	}
	r, empty, err := op.within()
	switch {
	case err != nil:
		return resp.ErrorReply(err)
	case empty:
		return resp.Zero
	}
	first, last := r.bits(int64(e.Len()))
	return resp.Int(bits.Count(e.Look(), first, last))
}

// within reads [start end [BYTE | BIT]]. What is empty in any string is told before what
// comes behind it is looked at.
func (op bitCountOp) within() (r bitRange, empty bool, err error) {
	r.end = -1
	switch n := len(op.in); {
	case n == 0:
		return r, false, nil
	case n == 1 || n > 3:
		return r, false, command.ErrSyntax
	}
	if r.start, err = command.IntArg(op.in[0]); err != nil {
		return r, false, err
	}
	if r.end, err = command.IntArg(op.in[1]); err != nil {
		return r, false, err
	}
	if r.start < 0 && r.end < 0 && r.start > r.end {
		return r, true, nil
	}
	return r, false, r.parseUnit(op.in[2:])
}

// bitRange is a part of a string, counted in bytes or in bits, from the end if negative.
type bitRange struct {
	start, end int64
	inBits     bool
}

// parseRange reads [start [end [BYTE | BIT]]]. What is wrong is told in Redis's order.
func parseRange(args command.Args) (r bitRange, err error) {
	r.end = -1
	if len(args) > 3 {
		return r, command.ErrSyntax
	}
	if len(args) > 0 {
		if r.start, err = command.IntArg(args[0]); err != nil {
			return r, err
		}
	}
	if len(args) > 1 {
		if err := r.parseUnit(args[2:]); err != nil {
			return r, err
		}
		r.end, err = command.IntArg(args[1])
	}
	return r, err
}

// parseUnit reads [BYTE | BIT].
func (r *bitRange) parseUnit(args command.Args) error {
	if len(args) == 0 {
		return nil
	}
	if r.inBits = command.IsWord(args[0], "BIT"); !r.inBits && !command.IsWord(args[0], "BYTE") {
		return command.ErrSyntax
	}
	return nil
}

// bits returns the first and the last bit of r in a string of that length, both within it; the
// first is behind the last if there is none.
func (r bitRange) bits(length int64) (first, last int64) {
	n, start, end := length, r.start, r.end
	if r.inBits {
		n <<= 3
	}
	if start < 0 {
		start = max(start+n, 0)
	}
	if end < 0 {
		end = max(end+n, 0)
	}
	end = min(end, n-1)
	switch {
	case start > end:
		return 1, 0
	case r.inBits:
		return start, end
	}
	return start << 3, end<<3 + 7
}

var specBitPos = &command.Spec{
	Name: "bitpos", Group: "bitmap", Arity: -3, Since: "2.8.7",
	Flags: command.ReadOnly, ACL: []string{"bitmap"}, Keys: command.OneKey(command.RO | command.Access),
	Summary: "Answers the offset of the first bit of a string, or of a part of it, that is set or clear, -1 if there is none. " +
		"Without an end zeros follow the string.",
	Args: []command.Arg{
		command.Key("key"), command.Integer("bit"),
		command.Opt(command.Block("index", command.Integer("start"),
			command.Opt(command.Block("end_index", command.Integer("end"), unit())))),
	},
	Parse: func(args command.Args) (command.Op, error) {
		bit, err := command.IntArg(args[2])
		if err != nil {
			return nil, err
		}
		if bit != 0 && bit != 1 {
			return nil, errBitArg
		}
		return bitPosOp{args[1], int(bit), args[3:]}, nil
	},
}

type bitPosOp struct {
	key []byte
	bit int
	in  command.Args
}

func (op bitPosOp) Run(ctx *command.Ctx) resp.Value {
	e, err := ctx.ReadOf(store.String, op.key)
	switch {
	case err != nil:
		return resp.ErrorReply(err)
	case e == nil:
		return resp.Int(-int64(op.bit))
	}
	r, err := parseRange(op.in)
	if err != nil {
		return resp.ErrorReply(err)
	}
	first, last := r.bits(int64(e.Len()))
	if first > last {
		return resp.Int(-1)
	}
	at := bits.Find(e.Look(), op.bit, first, last)
	if at < 0 && op.bit == 0 && len(op.in) < 2 {
		at = last + 1
	}
	return resp.Int(at)
}
