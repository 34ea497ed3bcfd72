package bits

import (
	"bytes"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/resp"
	"github.com/lockstepkv/lockstep/store"
	"github.com/lockstepkv/lockstep/store/value/bits"
)

const (
	errFieldType = resp.Error("ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.")
	errOverflow  = resp.Error("ERR Invalid OVERFLOW type specified")
	errGetOnly   = resp.Error("ERR BITFIELD_RO only supports the GET subcommand")
)

var specBitField = &command.Spec{
	Name: "bitfield", Group: "bitmap", Arity: -2, Since: "3.2.0",
	Flags: command.Write | command.DenyOOM, ACL: []string{"bitmap"},
	Keys: []command.KeySpec{{
		First: 1, Last: 1, Step: 1, Use: command.RW | command.Access | command.Update | command.VariableFlags, UseOf: useOfField,
	}},
	Summary: "Reads and writes integers of any width within a string, and answers a value for each. " +
		"OVERFLOW says what becomes of numbers that do not fit, from there on.",
	Args: []command.Arg{command.Key("key"), command.Opt(command.Many(command.OneOf("operation",
		placed("encoding_offset").After("GET"),
		command.Block("write",
			command.Opt(command.OneOf("wrap_sat_fail", command.Token("WRAP"), command.Token("SAT"), command.Token("FAIL")).After("OVERFLOW")),
			command.OneOf("write_operation",
				placed("encoding_offset_value", command.Integer("value")).After("SET"),
				placed("encoding_offset_increment", command.Integer("increment")).After("INCRBY"),
			),
		),
	)))},
	Parse: func(args command.Args) (command.Op, error) { return parseField(args, false) },
}

var specBitFieldRO = &command.Spec{
	Name: "bitfield_ro", Group: "bitmap", Arity: -2, Since: "6.0.0",
	Flags: command.ReadOnly | command.Fast, ACL: []string{"bitmap"}, Keys: command.OneKey(command.RO | command.Access),
	Summary: "Reads integers of any width within a string.",
	Args: []command.Arg{
		command.Key("key"), command.Opt(command.ManyWords(placed("encoding_offset").After("GET"))),
	},
	Parse: func(args command.Args) (command.Op, error) { return parseField(args, true) },
}

// placed is what an operation says of its integer.
func placed(name string, more ...command.Arg) command.Arg {
	return command.Block(name, append([]command.Arg{command.String("encoding"), command.Integer("offset")}, more...)...)
}

// useOfField tells that BITFIELD with nothing but GET only reads.
func useOfField(args command.Args) command.KeyUse {
	for i := 2; i < len(args); {
		word, left := fieldWordOf(args[i]), len(args)-i-1
		if left < word.values() {
			break
		}
		if word == fieldSet || word == fieldIncrBy {
			return command.RW | command.Access | command.Update
		}
		i += 1 + word.values()
	}
	return command.RO | command.Access
}

// fieldWord is a word that begins a part of BITFIELD.
type fieldWord uint8

const (
	fieldGet fieldWord = iota
	fieldSet
	fieldIncrBy
	fieldOverflow
	noFieldWord
)

func fieldWordOf(arg []byte) fieldWord {
	for i, word := range []string{fieldGet: "GET", fieldSet: "SET", fieldIncrBy: "INCRBY", fieldOverflow: "OVERFLOW"} {
		if command.IsWord(arg, word) {
			return fieldWord(i)
		}
	}
	return noFieldWord
}

// values is how many arguments follow w; more than there can be for what is no word.
func (w fieldWord) values() int {
	switch w {
	case fieldGet:
		return 2
	case fieldSet, fieldIncrBy:
		return 3
	case fieldOverflow:
		return 1
	}
	return 1 << 30
}

// fieldStep is one operation of BITFIELD.
type fieldStep struct {
	bits.Field
	word fieldWord
	over bits.Overflow
	n    int64
}

type fieldOp struct {
	key   []byte
	steps []fieldStep
	end   int // how long the string must be for what is written; 0 if nothing is
	last  int64
}

func parseField(args command.Args, readOnly bool) (command.Op, error) {
	op := &fieldOp{key: args[1], steps: make([]fieldStep, 0, (len(args)-2)/3)}
	var over bits.Overflow
	for i := 2; i < len(args); {
		word, left := fieldWordOf(args[i]), args[i+1:]
		if len(left) < word.values() {
			return nil, command.ErrSyntax
		}
		i += 1 + word.values()
		var err error
		if word == fieldOverflow {
			over, err = parseOverflow(left[0])
		} else {
			err = op.add(word, over, left)
		}
		if err != nil {
			return nil, err
		}
	}
	if readOnly && op.end > 0 {
		return nil, errGetOnly
	}
	return op, nil
}

func parseOverflow(arg []byte) (bits.Overflow, error) {
	for i, word := range []string{bits.Wrap: "WRAP", bits.Saturate: "SAT", bits.Fail: "FAIL"} {
		if command.IsWord(arg, word) {
			return bits.Overflow(i), nil
		}
	}
	return 0, errOverflow
}

// add reads a step from the arguments behind its word.
func (op *fieldOp) add(word fieldWord, over bits.Overflow, args command.Args) (err error) {
	s := fieldStep{word: word, over: over}
	if s.Signed, s.Width, err = parseFieldType(args[0]); err != nil {
		return err
	}
	if s.Offset, err = parseOffset(args[1], int64(s.Width)); err != nil {
		return err
	}
	op.last = max(op.last, s.Offset)
	if word != fieldGet {
		_, end := s.Bytes()
		op.end = max(op.end, int(end))
		if s.n, err = command.IntArg(args[2]); err != nil {
			return err
		}
	}
	op.steps = append(op.steps, s)
	return nil
}

func parseFieldType(arg []byte) (signed bool, width uint8, err error) {
	if i := bytes.IndexByte(arg, 0); i >= 0 { // as in C
		arg = arg[:i]
	}
	if len(arg) == 0 || arg[0] != 'i' && arg[0] != 'u' {
		return false, 0, errFieldType
	}
	signed = arg[0] == 'i'
	n, ok := command.ParseInt(arg[1:])
	if !ok || n < 1 || n > 64 || n > 63 && !signed {
		return false, 0, errFieldType
	}
	return signed, uint8(n), nil
}

func (op *fieldOp) ReplySize(*command.Ctx) (size, values int) {
	return command.ValueBytes * (1 + len(op.steps)), max(2, len(op.steps))
}

func (op *fieldOp) Run(ctx *command.Ctx) resp.Value {
	if err := checkOffset(ctx, op.last); err != nil {
		return resp.ErrorReply(err)
	}
	find := ctx.LookupOf
	if op.end == 0 {
		find = ctx.ReadOf
	}
	e, err := find(store.String, op.key)
	if err != nil {
		return resp.ErrorReply(err)
	}
	replies := make([]resp.Value, len(op.steps))
	if op.end == 0 {
		value := look(e)
		for i := range op.steps {
			replies[i] = resp.Int(op.steps[i].Get(value))
		}
		return resp.Array(replies...)
	}
	ctx.Overwrite(op.key, e, max(len(look(e)), op.end), func(value []byte) (wrote []command.Range) {
		for i := range op.steps {
			var changed bool
			if replies[i], changed = op.steps[i].run(value); changed {
				from, to := op.steps[i].Bytes()
				wrote = append(wrote, command.Range{From: int(from), To: int(to)})
			}
		}
		return wrote
	})
	return resp.Array(replies...)
}

// run does a step, and reports whether it changed value.
func (s *fieldStep) run(value []byte) (reply resp.Value, changed bool) {
	old := s.Get(value)
	var now int64
	fits := true
	switch s.word {
	case fieldGet:
		return resp.Int(old), false
	case fieldSet:
		now, fits = s.Fit(s.n, 0, s.over)
	case fieldIncrBy:
		now, fits = s.Fit(old, s.n, s.over)
	}
	if !fits && s.over == bits.Fail {
		return resp.Nil, false
	}
	s.Put(value, now)
	if s.word == fieldSet {
		return resp.Int(old), now != old
	}
	return resp.Int(now), now != old
}
