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
	kinds  []*Kind
}

// NewTable returns the table of the commands of all groups, in their order. Whoever wants
// those of Lockstep asks package commandset.
func NewTable(groups ...Group) *Table {
	t := &Table{
		byName: make(map[string]*Spec),
		subs:   make(map[*Spec]map[string]*Spec),
	}
	for _, group := range groups {
		for _, sp := range group(t) {
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
		return nil, ErrEmptyCommand
	}
	sp := t.find(args)
	if sp == nil {
		if container := t.Lookup(args[0]); container != nil {
			return nil, unknownSubcommand(container, args[1])
		}
		return nil, unknownCommand(args)
	}
	if !sp.ArityOK(len(args)) {
		return nil, ErrArity(sp.Name)
	}
	return sp, nil
}

// VersionOf returns e's version, 0 for an absent entry.
func VersionOf(e *store.Entry) uint64 {
	if e == nil {
		return 0
	}
	return e.Version()
}

// find returns the command, or the subcommand, that args call, or nil.
func (t *Table) find(args Args) *Spec {
	sp := t.Lookup(args[0])
	if sp != nil && len(sp.Sub) > 0 && len(args) > 1 {
		return t.LookupSub(sp, args[1])
	}
	return sp
}

// Exec runs one command against ctx: lookup, arity, slots, memory limit, Parse, Run.
// Every failure is a reply; it never depends on anything but ctx and args.
func (t *Table) Exec(ctx *Ctx, args Args) resp.Value {
	sp, err := t.CheckData(args)
	if err != nil {
		return resp.ErrorReply(err)
	}
	if v, no := ctx.Elsewhere(sp, args); no {
		return v
	}
	if err := ctx.Growth(); err != nil && sp.Flags.Has(DenyOOM) {
		return resp.ErrorReply(err)
	}
	op, err := sp.Parse(args)
	if err != nil {
		return resp.ErrorReply(err)
	}
	return sp.Run(ctx, op)
}

// CheckData is Check for what may run against a store.
func (t *Table) CheckData(args Args) (*Spec, error) {
	sp, err := t.Check(args)
	if err != nil {
		return nil, err
	}
	if !sp.IsData() {
		return nil, errNotData(sp)
	}
	return sp, nil
}

// Answer is Run of a command that was parsed from args, if this shard has its keys.
func (sp *Spec) Answer(ctx *Ctx, args Args, op Op) resp.Value {
	if v, no := ctx.Elsewhere(sp, args); no {
		return v
	}
	return sp.Run(ctx, op)
}

// Run runs a parsed command, if there is room for its reply.
func (sp *Spec) Run(ctx *Ctx, op Op) resp.Value {
	if v, no := ctx.Refused(op); no {
		return v
	}
	return ctx.charge(sp, op, op.Run(ctx))
}

// used is what OOMLimit is a limit of.
func (c *Ctx) used() int64 {
	if c.FormerSizes {
		return c.Store.UsedFormerly()
	}
	return c.Store.Used()
}

// Growth returns why commands that may need more memory are refused, or nil.
func (c *Ctx) Growth() error {
	switch {
	case c.OOMLimit == NoDisk:
		return errNoDisk
	case c.OOMLimit > 0 && c.used() > c.OOMLimit:
		return ErrOOM
	}
	return nil
}
