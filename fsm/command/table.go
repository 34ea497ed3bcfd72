package command

import (
	"github.com/lockstepkv/lockstep/resp"
	"github.com/lockstepkv/lockstep/store"
)

// Table is a set of commands by name. It never changes after NewTable.
type Table struct {
	byName map[string]*Spec
	subs   map[*Spec]map[string]*Spec // containers only
	specs  []*Spec                    // without internal ones
}

// NewTable returns the table of all commands.
func NewTable() *Table {
	t := &Table{
		byName: make(map[string]*Spec),
		subs:   make(map[*Spec]map[string]*Spec),
	}
	for _, group := range [][]*Spec{
		stringSpecs(), genericSpecs(), expirySpecs(), inspectSpecs(),
		connectionSpecs(), serverSpecs(), clusterSpecs(), transactionSpecs(),
		ownSpecs(), lockSpecs(), {onceSpec(t), fencedSpec(t), txnSpec(t)},
	} {
		for _, sp := range group {
			t.byName[sp.Name] = sp
			if !sp.Flags.Has(Internal) {
				t.specs = append(t.specs, sp)
			}
		}
	}
	for _, sp := range t.specs {
		if len(sp.Sub) == 0 {
			continue
		}
		subs := make(map[string]*Spec, len(sp.Sub))
		for _, sub := range sp.Sub {
			subs[sub.Name[len(sp.Name)+1:]] = sub
		}
		t.subs[sp] = subs
	}
	return t
}

// Specs returns all commands of clients, grouped. The slice must not be changed.
func (t *Table) Specs() []*Spec { return t.specs }

// maxNameLen is longer than any command's name.
const maxNameLen = 32

// Lookup returns the command of that name in any case, or nil. A container such
// as CONFIG is returned as such; Check finds the subcommand.
func (t *Table) Lookup(name []byte) *Spec {
	var buf [maxNameLen]byte
	return t.byName[string(lower(buf[:], name))]
}

// LookupSub returns the subcommand of that name in any case, or nil.
func (t *Table) LookupSub(container *Spec, name []byte) *Spec {
	var buf [maxNameLen]byte
	return t.subs[container][string(lower(buf[:], name))]
}

// lower writes name in lower case into buf and returns it, or nothing when it
// does not fit and thus cannot be a name of ours.
func lower(buf, name []byte) []byte {
	if len(name) > len(buf) {
		return nil
	}
	for i, c := range name {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		buf[i] = c
	}
	return buf[:len(name)]
}

// Check finds the command, or the subcommand, that args call and verifies their
// number. The error is a resp.Error in Redis's words.
func (t *Table) Check(args Args) (*Spec, error) {
	if len(args) == 0 {
		return nil, errEmptyCommand
	}
	sp := t.Lookup(args[0])
	if sp == nil {
		return nil, unknownCommand(args)
	}
	if len(sp.Sub) > 0 && len(args) > 1 {
		sub := t.LookupSub(sp, args[1])
		if sub == nil {
			return nil, unknownSubcommand(sp, args[1])
		}
		sp = sub
	}
	if !sp.arityOK(len(args)) {
		return nil, sp.errArity()
	}
	return sp, nil
}

func (sp *Spec) arityOK(n int) bool {
	if sp.Arity < 0 {
		return n >= -sp.Arity
	}
	return n == sp.Arity
}

// IsData reports whether sp works on a shard's store: it may be part of a unit.
func (sp *Spec) IsData() bool {
	return sp.Parse != nil && sp.Flags&(Write|ReadOnly) != 0
}

// KeysOf returns the keys among args, which passed Check. The result shares args.
func (sp *Spec) KeysOf(args Args) ([][]byte, error) {
	if sp.FindKeys != nil {
		return sp.FindKeys(args)
	}
	k := sp.Keys
	if k.First <= 0 || k.First >= len(args) {
		return nil, nil
	}
	last := k.Last
	if last < 0 {
		last += len(args)
	}
	last = min(last, len(args)-1)
	if k.Step <= 1 || k.First == last {
		return args[k.First : max(last, k.First-1)+1], nil
	}
	keys := make([][]byte, 0, (last-k.First)/k.Step+1)
	for i := k.First; i <= last; i += k.Step {
		keys = append(keys, args[i])
	}
	return keys, nil
}

// VersionOf returns e's version, 0 for an absent entry.
func VersionOf(e *store.Entry) uint64 {
	if e == nil {
		return 0
	}
	return e.Version()
}

// Exec runs one command against ctx: lookup, arity, memory limit, Parse, Run.
// Every failure is a reply; it never depends on anything but ctx and args.
func (t *Table) Exec(ctx *Ctx, args Args) resp.Value {
	sp, err := t.checkData(args)
	if err != nil {
		return errorReply(err)
	}
	if err := ctx.growth(); err != nil && sp.Flags.Has(DenyOOM) {
		return errorReply(err)
	}
	op, err := sp.Parse(args)
	if err != nil {
		return errorReply(err)
	}
	return sp.Run(ctx, op)
}

// checkData is Check for what may run against a store.
func (t *Table) checkData(args Args) (*Spec, error) {
	sp, err := t.Check(args)
	if err != nil {
		return nil, err
	}
	if !sp.IsData() {
		return nil, errNotData(sp)
	}
	return sp, nil
}

// Run runs a parsed command, if there is room for its reply.
func (sp *Spec) Run(ctx *Ctx, op Op) resp.Value {
	if v, no := ctx.refused(op); no {
		return v
	}
	return ctx.charge(sp, op, op.Run(ctx))
}

// growth returns why commands that may need more memory are refused, or nil.
func (c *Ctx) growth() error {
	switch {
	case c.OOMLimit == NoDisk:
		return errNoDisk
	case c.OOMLimit > 0 && c.Store.Used() > c.OOMLimit:
		return errOOM
	}
	return nil
}
