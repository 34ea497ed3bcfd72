package command

import (
	"bytes"
	"strings"

	"github.com/lockstepkv/lockstep/resp"
)

// Codes of errors that others than clients tell apart.
const (
	// CodeOOM tells that memory is full; nothing has happened.
	CodeOOM = "OOM"
	// CodeCondition answers a write whose condition (NX, XX, IFVERSION) did not hold.
	CodeCondition = "CONDITION"
	// CodeStaleFence answers a command whose fence is older than one that the shard has seen.
	CodeStaleFence = "STALEFENCE"
)

// Errors in Redis's words: clients match on them. Those of a single group are there.
const (
	ErrSyntax        = resp.Error("ERR syntax error")
	ErrNotInteger    = resp.Error("ERR value is not an integer or out of range")
	ErrWrongType     = resp.Error("WRONGTYPE Operation against a key holding the wrong kind of value")
	ErrCursor        = resp.Error("ERR invalid cursor")
	ErrOOM           = resp.Error("OOM command not allowed when used memory > 'maxmemory'.")
	ErrEmptyCommand  = resp.Error("ERR empty command")
	ErrNoLocks       = resp.Error("ERR locks are not at hand here")
	ErrOverflow      = resp.Error("ERR increment or decrement would overflow")
	errNotInMulti    = resp.Error("ERR Command not allowed inside a transaction")
	errEmptyUnit     = resp.Error("ERR empty unit")
	errOnceFull      = resp.Error("ONCEFULL no memory is left to remember idempotency ids, nothing was done; see --once-memory and --once-retention")
	errOnceShare     = resp.Error("ONCESHARE this client's share of the memory for idempotency ids is used up, nothing was done; see --once-memory")
	errOnceForgotten = resp.Error("ONCEEXPIRED this idempotency id was used, and its reply is no longer kept")
)

// Errors whose code does not say what they are about.
var (
	// ErrTooLong answers what would make a string longer than it may be.
	ErrTooLong = resp.ClassedError{Text: "ERR string exceeds maximum allowed size (proto-max-bulk-len)", Class: resp.ClassTooLarge}

	errNoDisk  = resp.ClassedError{Text: CodeOOM + " " + resp.Error(ErrTight.Error()), Class: resp.ClassDisk}
	errExecOOM = resp.ClassedError{Text: "EXECABORT Transaction discarded because of: OOM command not allowed when used memory > 'maxmemory'.", Class: resp.ClassMemory}
)

// OfValue is err when the value under a key is to blame, not an argument. Redis has
// the same words for both.
func OfValue(err resp.Error) error { return resp.ClassedError{Text: err, Class: resp.ClassValue} }

// ErrArity is the reply to a wrong number of arguments.
func ErrArity(name string) error {
	return resp.Error("ERR wrong number of arguments for '" + name + "' command")
}

func errNotData(sp *Spec) error {
	return resp.Error("ERR '" + sp.Name + "' does not run against a shard")
}

// unknownCommand quotes at most 128 bytes of the name and about as many of the
// arguments.
func unknownCommand(args Args) error {
	const most = 128
	var quoted []byte
	for _, a := range args[1:] {
		if len(quoted) >= most {
			break
		}
		quoted = append(quoted, '\'')
		quoted = append(quoted, Quotable(a, most-len(quoted)+1)...)
		quoted = append(quoted, "' "...)
	}
	return resp.Error("ERR unknown command '" + Quotable(args[0], most) + "', with args beginning with: " + string(quoted))
}

func unknownSubcommand(sp *Spec, name []byte) error {
	return resp.Error("ERR unknown subcommand '" + Quotable(name, 128) + "'. Try " + strings.ToUpper(sp.Name) + " HELP.")
}

// Quotable makes a client's bytes fit for an error line: cut at a NUL, as Redis
// does, and at most bytes, line ends replaced by spaces.
func Quotable(b []byte, most int) string {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	b = b[:min(len(b), most)]
	out := bytes.Clone(b)
	for i, c := range out {
		if c == '\r' || c == '\n' {
			out[i] = ' '
		}
	}
	return string(out)
}
