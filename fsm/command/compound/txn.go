package compound

import (
	"bytes"
	"slices"
	"strconv"
	"strings"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/resp"
	"github.com/lockstepkv/lockstep/store"
)

const (
	errTxnKeys    = resp.Error("ERR a transaction needs a key")
	errTxnCommand = resp.Error("ERR a transaction takes commands on keys")
	errTxnLog     = resp.Error("ERR LS.TXN runs from the log only")
)

// errTxnReply: what a transaction answers is kept on every replica until its node has it.
var errTxnReply = resp.ClassedError{Text: "ERR the replies of the transaction are too large, nothing was applied", Class: resp.ClassTooLarge}

// txnSpec needs the table because its keys are those of the commands in it, too.
func txnSpec(t *command.Table) *command.Spec {
	return &command.Spec{
		Name: "ls.txn", Group: "lockstep", Arity: -7, Since: "0.1.0",
		Flags: command.Write | command.MovableKeys | command.Composite,
		Summary: "Runs the commands of THEN if all conditions hold, else those of ELSE, in one step; answers 1 or 0 and the replies. " +
			"When a command fails, its error is the answer and nothing is applied.",
		Args: txnArgs(),
		FindKeys: func(args command.Args) ([][]byte, error) {
			op, err := parseTxn(t, args)
			if err != nil {
				return nil, err
			}
			return op.keys()
		},
		Holds: func(args command.Args) ([]*command.Spec, error) {
			op, err := parseTxn(t, args)
			if err != nil {
				return nil, err
			}
			return op.specs(), nil
		},
		Parse: func(args command.Args) (command.Op, error) {
			op, err := parseTxn(t, args)
			if err != nil {
				return nil, err
			}
			return op, op.parseCommands()
		},
	}
}

func txnArgs() []command.Arg {
	words := command.Block("command", command.Integer("words"), command.Many(command.String("word")))
	branch := func(word string) command.Arg {
		return command.Block("branch", command.Integer("count"), command.Opt(command.Many(words).Line("words word [word ...] ..."))).After(word)
	}
	conditions := command.OneOf("condition",
		command.Block("version", command.Key("key"), command.Integer("version").After("VERSION")),
		command.Block("exists", command.Key("key"), command.OneOf("there", command.Token("0"), command.Token("1")).After("EXISTS")),
		command.Block("value", command.Key("key"), command.String("value").After("VALUE")))
	return []command.Arg{
		command.Block("conditions", command.Integer("count"),
			command.Opt(command.Many(conditions).Line("key VERSION version | key EXISTS 0|1 | key VALUE value ..."))).After("IF"),
		branch("THEN"), branch("ELSE"),
	}
}

// txnOp is a transaction.
type txnOp struct {
	conds    []txnCond
	branches [2][]txnCommand // ELSE, THEN
}

// txnCond is what a transaction asks of a key.
type txnCond struct {
	key     []byte
	test    string // VERSION, EXISTS or VALUE
	version uint64
	exists  bool
	value   []byte
}

type txnCommand struct {
	name string // where it stands, for errors
	args command.Args
	spec *command.Spec
	op   command.Op
}

// parseTxn reads all but the arguments of the commands within.
func parseTxn(t *command.Table, args command.Args) (*txnOp, error) {
	op := new(txnOp)
	r := txnReader{rest: args[1:]}
	for range r.count("IF", 3) {
		c, err := parseCond(r.take(3))
		if err != nil {
			return nil, err
		}
		op.conds = append(op.conds, c)
	}
	for _, b := range []struct {
		word string
		to   *[]txnCommand
	}{{"THEN", &op.branches[1]}, {"ELSE", &op.branches[0]}} {
		for i := range r.count(b.word, 2) {
			c := txnCommand{name: "command " + strconv.Itoa(i+1) + " of " + b.word, args: r.take(r.number(1))}
			if r.failed {
				return nil, command.ErrSyntax
			}
			var err error
			if c.spec, err = checkTxnCommand(t, c.args); err != nil {
				return nil, c.error(err)
			}
			*b.to = append(*b.to, c)
		}
	}
	if r.failed || len(r.rest) > 0 {
		return nil, command.ErrSyntax
	}
	return op, nil
}

// txnReader walks the words of a transaction. The first failure sticks.
type txnReader struct {
	rest   command.Args
	failed bool
}

// take returns the next n words.
func (r *txnReader) take(n int) command.Args {
	if r.failed || n > len(r.rest) {
		r.failed = true
		return make(command.Args, min(n, 3))
	}
	words := r.rest[:n:n]
	r.rest = r.rest[n:]
	return words
}

// number reads how many things follow, each of at least so many words.
func (r *txnReader) number(words int) int {
	n, ok := command.ParseInt(r.take(1)[0])
	if !ok || n < 0 || n > int64(len(r.rest)/words) {
		r.failed = true
		return 0
	}
	return int(n)
}

// count reads a word and a number.
func (r *txnReader) count(word string, words int) int {
	if !command.IsWord(r.take(1)[0], word) {
		r.failed = true
	}
	return r.number(words)
}

func parseCond(words command.Args) (c txnCond, err error) {
	c = txnCond{key: words[0], test: strings.ToUpper(string(words[1])), value: words[2]}
	switch c.test {
	case "VERSION":
		if c.version, err = strconv.ParseUint(string(c.value), 10, 64); err != nil {
			return c, command.ErrNotInteger
		}
	case "EXISTS":
		c.exists = string(c.value) == "1"
		if !c.exists && string(c.value) != "0" {
			return c, command.ErrSyntax
		}
	case "VALUE":
	default:
		return c, command.ErrSyntax
	}
	return c, nil
}

// checkTxnCommand is Check for a command of a transaction: one that does nothing but
// read and change keys, so that it can be taken back. A fence that is seen stays seen.
func checkTxnCommand(t *command.Table, args command.Args) (*command.Spec, error) {
	sp, err := t.Check(args)
	if err != nil {
		return nil, err
	}
	inner := sp
	if sp.Name == nameFenced {
		if inner, _, err = checkFenced(t, args); err != nil {
			return nil, err
		}
	}
	if !inner.IsData() || len(inner.Keys) == 0 || inner.Flags&(command.NoMulti|command.OnLocks) != 0 {
		return nil, errTxnCommand
	}
	return sp, nil
}

// error says in which command err was found.
func (c *txnCommand) error(err error) error {
	reply := resp.ErrorReply(err)
	code := resp.Error(reply.Str).Code()
	text := code + " " + c.name + ": " + strings.TrimPrefix(string(reply.Str), code+" ")
	return resp.ClassedError{Text: resp.Error(text), Class: reply.Class()}
}

func (op *txnOp) keys() (keys [][]byte, err error) {
	for _, c := range op.conds {
		keys = append(keys, c.key)
	}
	for _, branch := range op.branches {
		for _, c := range branch {
			of, err := c.spec.KeysOf(c.args)
			if err != nil {
				return nil, c.error(err)
			}
			keys = append(keys, of...)
		}
	}
	if len(keys) == 0 {
		return nil, errTxnKeys
	}
	return keys, nil
}

// parseCommands reads the arguments of the commands of both branches.
func (op *txnOp) parseCommands() (err error) {
	if _, err := op.keys(); err != nil {
		return err
	}
	for _, branch := range op.branches {
		for i := range branch {
			if branch[i].op, err = branch[i].spec.Parse(branch[i].args); err != nil {
				return branch[i].error(err)
			}
		}
	}
	return nil
}

// Run is all or nothing. As in MULTI, memory is looked at before, for all commands
// together.
func (op *txnOp) Run(ctx *command.Ctx) resp.Value {
	if !ctx.InLog {
		return resp.ErrorReply(errTxnLog)
	}
	succeeded := 1
	for _, c := range op.conds {
		if !c.holds(ctx.Peek(c.key)) {
			succeeded = 0
		}
	}
	branch := op.branches[succeeded]
	if err := ctx.Growth(); err != nil && slices.ContainsFunc(branch, txnCommand.grows) {
		return resp.ErrorReply(err)
	}
	replies, refused := op.apply(ctx, branch)
	if refused.IsError() {
		return refused
	}
	return resp.Array(resp.Int(int64(succeeded)), resp.Array(replies...))
}

// specs are those of the commands of both branches.
func (op *txnOp) specs() []*command.Spec {
	var specs []*command.Spec
	for _, branch := range op.branches {
		for i := range branch {
			specs = append(specs, branch[i].spec)
		}
	}
	return specs
}

func (c txnCommand) grows() bool { return c.spec.Flags.Has(command.DenyOOM) }

// apply runs the commands. An error, of a command or for want of room for the replies,
// takes back what they did.
func (op *txnOp) apply(ctx *command.Ctx, branch []txnCommand) (replies []resp.Value, refused resp.Value) {
	ctx.Begin()
	replies, cost := make([]resp.Value, len(branch)), 0
	for i := range branch {
		replies[i] = branch[i].op.Run(ctx)
		cost += command.ReplyCost(replies[i])
		if replies[i].IsError() {
			refused = resp.ErrorReply(branch[i].error(resp.ClassedError{Text: resp.Error(replies[i].Str), Class: replies[i].Class()}))
		} else if v, no := ctx.Refusal(cost, command.ValuesIn(cost, replies[:i+1])); no {
			if refused = v; !command.RepliesFull(v) && !onceNoRoom(v) {
				refused = resp.ErrorReply(errTxnReply)
			}
		}
		if refused.IsError() {
			ctx.Rollback()
			return nil, refused
		}
	}
	ctx.Commit()
	return replies, resp.Value{}
}

// holds judges a condition; e is nil for an absent key.
func (c *txnCond) holds(e *store.Entry) bool {
	switch c.test {
	case "VERSION":
		return command.VersionOf(e) == c.version
	case "EXISTS":
		return (e != nil) == c.exists
	}
	return e != nil && e.Type() == store.String && bytes.Equal(e.Look(), c.value)
}
