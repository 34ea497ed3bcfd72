package command

import (
	"github.com/lockstepkv/lockstep/resp"
	"github.com/lockstepkv/lockstep/store"
)

// Table is a set of commands by name.
type Table struct {
	byName map[string]*Spec
	specs  []*Spec
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
	panic("the owner of this room writes it")
}
