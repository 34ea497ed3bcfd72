package bits

import (
	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/resp"
	"github.com/lockstepkv/lockstep/store"
	"github.com/lockstepkv/lockstep/store/value/bits"
)

// Commands lists the commands on bits.
func Commands(*command.Table) []*command.Spec {
	return []*command.Spec{specSetBit, specGetBit, specBitCount, specBitPos, specBitOp, specBitField, specBitFieldRO}
}

const (
	errOffset = resp.Error("ERR bit offset is not an integer or out of range")
	errBit    = resp.Error("ERR bit is not an integer or out of range")
	errBitArg = resp.Error("ERR The bit argument must be 1 or 0.")
)

// maxStringBytes is how long a string may be at most, whatever the limit of an entry is.
const maxStringBytes = 512 << 20

// parseOffset reads the offset of a bit. width is that of the integers that "#1" counts in, or
// 0 where that is not a form.
func parseOffset(arg []byte, width int64) (int64, error) {
	unit := int64(1)
	if width > 0 && len(arg) > 0 && arg[0] == '#' {
		arg, unit = arg[1:], width
	}
	n, ok := command.ParseInt(arg)
	n *= unit
	if !ok || n < 0 || n>>3 >= maxStringBytes {
		return 0, errOffset
	}
	return n, nil
}

// checkOffset holds an offset to the limit of the log entry.
func checkOffset(ctx *command.Ctx, offset int64) error {
	if offset>>3 >= ctx.MaxValueBytes() {
		return errOffset
	}
	return nil
}

// look returns the value of e for a look, none if it is absent.
func look(e *store.Entry) []byte {
	if e == nil {
		return nil
	}
	return e.Look()
}

var specSetBit = &command.Spec{
	Name: "setbit", Group: "bitmap", Arity: 4, Since: "2.2.0",
	Flags: command.Write | command.DenyOOM, ACL: []string{"bitmap"},
	Keys:    command.OneKey(command.RW | command.Access | command.Update),
	Summary: "Sets or clears a bit of a string, with zeros up to it where the string is shorter, and answers what it was.",
	Args:    []command.Arg{command.Key("key"), command.Integer("offset"), command.Integer("value")},
	Parse: func(args command.Args) (command.Op, error) {
		offset, err := parseOffset(args[2], 0)
		if err != nil {
			return nil, err
		}
		bit, ok := command.ParseInt(args[3])
		if !ok || bit&^1 != 0 {
			return nil, errBit
		}
		return setBitOp{args[1], offset, int(bit)}, nil
	},
}

type setBitOp struct {
	key    []byte
	offset int64
	bit    int
}

func (op setBitOp) Run(ctx *command.Ctx) resp.Value {
	if err := checkOffset(ctx, op.offset); err != nil {
		return resp.ErrorReply(err)
	}
	e, err := ctx.LookupOf(store.String, op.key)
	if err != nil {
		return resp.ErrorReply(err)
	}
	was, at := bits.Get(look(e), op.offset), int(op.offset>>3)
	if e != nil && was == op.bit && at < e.Len() && e.Raw() {
		return resp.Int(int64(was))
	}
	ctx.Overwrite(op.key, e, max(len(look(e)), at+1), func(value []byte) []command.Range {
		bits.Set(value, op.offset, op.bit)
		return []command.Range{{From: at, To: at + 1}}
	})
	return resp.Int(int64(was))
}

var specGetBit = &command.Spec{
	Name: "getbit", Group: "bitmap", Arity: 3, Since: "2.2.0",
	Flags: command.ReadOnly | command.Fast, ACL: []string{"bitmap"}, Keys: command.OneKey(command.RO | command.Access),
	Summary: "Answers a bit of a string, 0 behind its end.",
	Args:    []command.Arg{command.Key("key"), command.Integer("offset")},
	Parse: func(args command.Args) (command.Op, error) {
		offset, err := parseOffset(args[2], 0)
		return getBitOp{args[1], offset}, err
	},
}

type getBitOp struct {
	key    []byte
	offset int64
}

func (op getBitOp) Run(ctx *command.Ctx) resp.Value {
	e, err := ctx.ReadOf(store.String, op.key)
	if err != nil {
		return resp.ErrorReply(err)
	}
	return resp.Int(int64(bits.Get(look(e), op.offset)))
}

var specBitOp = &command.Spec{
	Name: "bitop", Group: "bitmap", Arity: -4, Since: "2.6.0",
	Flags: command.Write | command.DenyOOM, ACL: []string{"bitmap"},
	Keys: []command.KeySpec{
		{First: 2, Last: 2, Step: 1, Use: command.OW | command.Update},
		{First: 3, Last: -1, Step: 1, Use: command.RO | command.Access},
	},
	Summary: "Stores what a bitwise operation (AND, OR, XOR, NOT) makes of strings, and answers how long that is. " +
		"The shorter ones count as followed by zeros.",
	Args: []command.Arg{
		command.String("operation").As("AND | OR | XOR | NOT"), command.Key("destkey"), command.Many(command.Key("key")),
	},
	Parse: func(args command.Args) (command.Op, error) { return bitOpOp{args[1], args[2], args[3:]}, nil },
}

type bitOpOp struct {
	name, to []byte
	from     command.Args
}

func (op bitOpOp) operation() (bits.Op, error) {
	for i, word := range []string{bits.And: "AND", bits.Or: "OR", bits.Xor: "XOR", bits.Not: "NOT"} {
		if !command.IsWord(op.name, word) {
			continue
		}
		if bits.Op(i) == bits.Not && len(op.from) != 1 {
			return 0, resp.Error("ERR BITOP NOT must be called with a single source key.")
		}
		return bits.Op(i), nil
	}
	return 0, command.ErrSyntax
}

func (op bitOpOp) Run(ctx *command.Ctx) resp.Value {
	operation, err := op.operation()
	if err != nil {
		return resp.ErrorReply(err)
	}
	sources := make([][]byte, len(op.from))
	longest := 0
	for i, key := range op.from {
		e, err := ctx.ReadOf(store.String, key)
		if err != nil {
			return resp.ErrorReply(err)
		}
		sources[i] = look(e)
		longest = max(longest, len(sources[i]))
	}
	if longest == 0 {
		ctx.Remove(op.to)
		return resp.Zero
	}
	ctx.Overwrite(op.to, nil, longest, func(value []byte) []command.Range {
		bits.Combine(value, operation, sources)
		return []command.Range{{To: longest}}
	})
	return resp.Int(int64(longest))
}
