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

// Flags tell how a command is to be treated. The names are those of Redis's
// COMMAND INFO where Redis has the flag.
type Flags uint32

const (
	Write        Flags = 1 << iota // goes through the log
	ReadOnly                       // answered from memory
	DenyOOM                        // refused when memory is full and nothing can be evicted
	Admin                          // changes the server
	Fast                           // O(1) or O(log N)
	NoScript                       // not from a script
	Loading                        // allowed while a node loads its data
	StaleOK                        // Redis's stale: allowed while there is no leader
	NoAuth                         // allowed before AUTH
	NoMulti                        // not within MULTI
	MovableKeys                    // keys cannot be told from KeyRange alone: see Spec.FindKeys
	SkipSlowlog                    // may carry secrets
	AllShards                      // concerns every shard: the router asks each and merges (KEYS, DBSIZE, FLUSHALL, SCAN, RANDOMKEY)
	Connection                     // run by the router: state of one connection or of the server; has no Parse
	NoQueue                        // runs at once even within MULTI (EXEC, DISCARD, MULTI, WATCH, RESET, QUIT)
	MayReplicate                   // Redis's may_replicate
	PubSub                         // Redis's pubsub
	Blocking                       // Redis's blocking
	AllowBusy                      // Redis's allow_busy
	Owned                          // the log entry says which client asked
	Internal                       // logged by nodes; no command of clients
	Frees                          // frees memory or ends a lock, and is short: allowed while disks are full
)

// Has reports whether all of f are set.
func (fl Flags) Has(f Flags) bool { return fl&f == f }

// KeyRange says where the keys of a command are, as Redis's COMMAND INFO does:
// the index of the first key, of the last (negative: from the end) and the step.
// The zero KeyRange is a command without keys.
type KeyRange struct{ First, Last, Step int }

// Spec describes one command.
type Spec struct {
	Name    string // lower case, as in COMMAND INFO; of a subcommand "config|get"
	Group   string // Redis's group: "string", "generic", "connection", "server", "transactions", "cluster", "lockstep"
	Arity   int    // as in Redis: negative means "at least"
	Since   string
	Flags   Flags
	ACL     []string // ACL categories without "@", as in COMMAND INFO
	Keys    KeyRange
	Summary string
	Syntax  string // arguments for docs/commands.md, e.g. "key value [NX | XX] [GET] [EX seconds]"

	// FindKeys overrides Keys for commands whose keys depend on the arguments.
	FindKeys func(args Args) (keys [][]byte, err error)

	// Parse turns arguments (args[0] is the name) into an Op, or into a
	// resp.Error in Redis's words. Arity was checked before. Nil for
	// Connection commands and containers.
	Parse func(args Args) (Op, error)

	// PrintArgs is how many words tell one such command from another under an
	// idempotency id; 0 means all. The rest says where it came from.
	PrintArgs int

	// Sub holds the subcommands of a container command such as CONFIG. They
	// see the same Args as the container: args[1] is the subcommand's name.
	Sub []*Spec
}
