package command

import (
	"github.com/lockstepkv/lockstep/resp"
)

// Args is a command as it came: its name and its arguments. The slices may
// point into a buffer that is used again; whoever keeps one must copy it.
type Args = [][]byte

// Op is a parsed command. Run is pure: it sees only ctx.
type Op interface {
	Run(ctx *Ctx) resp.Value
}

// Sizer is an Op whose reply has values from the store in it. ReplySize tells from
// the state before Run how long they are together, and how many there are.
type Sizer interface {
	ReplySize(ctx *Ctx) (bytes, values int)
}

// Group makes the Specs of one package of commands. Most need no table; those of
// commands that hold others look these up in t when they parse.
type Group func(t *Table) []*Spec

// Spec describes one command. It is all that the rest of Lockstep knows of it: no code
// elsewhere asks for a command's name.
type Spec struct {
	Name    string // lower case, as in COMMAND INFO; of a subcommand "config|get"
	Group   string // Redis's group: "string", "generic", "connection", "server", "transactions", "cluster", "lockstep"
	Arity   int    // as in Redis: negative means "at least"
	Since   string
	Flags   Flags
	ACL     []string  // ACL categories without "@", besides those that Flags imply: see Categories
	Keys    []KeySpec // where the keys are and what becomes of them
	Args    []Arg     // the arguments, for COMMAND DOCS and docs/commands.md
	Summary string

	// FindKeys overrides Keys for commands whose keys depend on the arguments.
	FindKeys func(args Args) (keys [][]byte, err error)

	// Parse turns arguments (args[0] is the name) into an Op, or into a
	// resp.Error in Redis's words. Arity was checked before. Nil for
	// Connection commands and containers.
	Parse func(args Args) (Op, error)

	// Inner is where another whole command begins among the words of this one (ONCE id
	// command ...); 0: nowhere.
	Inner int

	// Recall answers a repetition of a command that deduplicates from the record of its first
	// run, without the log. It reports false for one that is new. Nil: it does not deduplicate.
	Recall func(ctx *Ctx, args Args) (reply resp.Value, ran bool)

	// Holds returns the Specs of the commands within args. Nil for those without.
	Holds func(args Args) ([]*Spec, error)

	// Split cuts a command whose keys are on several shards into one command for each: the
	// name and the shard's own keys, of so many words each (1 in DEL, 2 in MSET). 0: it
	// is not cut.
	Split int

	// Merge joins what several shards answered, to a command that was split or to one
	// for AllShards.
	Merge Merge

	// Cursor is set for a command that walks over the shards, one a call (SCAN).
	Cursor *Cursor

	// PrintArgs is how many words tell one such command from another under an
	// idempotency id; 0 means all. The rest says where it came from.
	PrintArgs int

	// Secret tells which words of args no log may show. Nil: none.
	Secret func(args Args, i int) bool

	// Sub holds the subcommands of a container command such as CONFIG. They
	// see the same Args as the container: args[1] is the subcommand's name.
	Sub []*Spec
}

// ArityOK reports whether a command of n words has enough and not too many.
func (sp *Spec) ArityOK(n int) bool {
	if sp.Arity < 0 {
		return n >= -sp.Arity
	}
	return n == sp.Arity
}

// IsData reports whether sp works on a shard's store: it may be part of a unit.
func (sp *Spec) IsData() bool {
	return sp.Parse != nil && sp.Flags&(Write|ReadOnly) != 0
}

// Categories returns the ACL categories, without "@": those that Flags imply, as in
// Redis, and the Spec's own.
func (sp *Spec) Categories() []string {
	implied := map[string]bool{
		"write": sp.Flags.Has(Write), "read": sp.Flags.Has(ReadOnly) && !sp.Flags.Has(Help),
		"admin": sp.Flags.Has(Admin), "dangerous": sp.Flags.Has(Admin), "pubsub": sp.Flags.Has(PubSub),
		"fast": sp.Flags.Has(Fast), "slow": !sp.Flags.Has(Fast), "blocking": sp.Flags.Has(Blocking),
	}
	for _, c := range sp.ACL {
		implied[c] = true
	}
	var list []string
	for _, c := range []string{
		"keyspace", "read", "write", "set", "sortedset", "list", "hash", "string", "bitmap", "hyperloglog", "geo", "stream",
		"pubsub", "admin", "fast", "slow", "blocking", "dangerous", "connection", "transaction", "scripting",
	} {
		if implied[c] {
			list = append(list, c)
		}
	}
	return list
}
