package command

import (
	"bytes"
	"strings"

	"github.com/lockstepkv/lockstep/resp"
)

// codeOOM is the code of the errors that tell that memory is full; nothing has happened.
const codeOOM = "OOM"

// Errors in Redis's words: clients match on them.
const (
	errSyntax        = resp.Error("ERR syntax error")
	errNotInteger    = resp.Error("ERR value is not an integer or out of range")
	errNotFloat      = resp.Error("ERR value is not a valid float")
	errNaN           = resp.Error("ERR increment would produce NaN or Infinity")
	errOverflow      = resp.Error("ERR increment or decrement would overflow")
	errDecrOverflow  = resp.Error("ERR decrement would overflow")
	errOffset        = resp.Error("ERR offset is out of range")
	errSameObject    = resp.Error("ERR source and destination objects are the same")
	errDBIndex       = resp.Error("ERR DB index is out of range")
	errDBRange       = resp.Error("ERR value is out of range, value must between -2147483648 and 2147483647")
	errCursor        = resp.Error("ERR invalid cursor")
	errExpireNX      = resp.Error("ERR NX and XX, GT or LT options at the same time are not compatible")
	errExpireGTLT    = resp.Error("ERR GT and LT options at the same time are not compatible")
	errNoLFU         = resp.Error("ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust.")
	errLFU           = resp.Error("ERR An LFU maxmemory policy is selected, idle time not tracked. Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust.")
	errOOM           = resp.Error("OOM command not allowed when used memory > 'maxmemory'.")
	errNotInMulti    = resp.Error("ERR Command not allowed inside a transaction")
	errEmptyCommand  = resp.Error("ERR empty command")
	errEmptyUnit     = resp.Error("ERR empty unit")
	errOnceID        = resp.Error("ERR idempotency id must have 1 to 256 bytes")
	errOnceCommand   = resp.Error("ERR ONCE takes a command that writes to keys")
	errOnceLog       = resp.Error("ERR ONCE runs from the log only")
	errOnceMismatch  = resp.Error("ONCEMISMATCH this idempotency id was used with another command")
	errOnceFull      = resp.Error("ONCEFULL no memory is left to remember idempotency ids, nothing was done; see --once-memory and --once-retention")
	errOnceShare     = resp.Error("ONCESHARE this client's share of the memory for idempotency ids is used up, nothing was done; see --once-memory")
	errOnceForgotten = resp.Error("ONCEEXPIRED this idempotency id was used, and its reply is no longer kept")
)

// Errors whose code does not say what they are about.
var (
	errTooLong = resp.ClassedError{Text: "ERR string exceeds maximum allowed size (proto-max-bulk-len)", Class: resp.ClassTooLarge}
	errNoDisk  = resp.ClassedError{Text: codeOOM + " " + resp.Error(ErrTight.Error()), Class: resp.ClassDisk}
	errNoKey   = resp.ClassedError{Text: "ERR no such key", Class: resp.ClassNoKey}
	errExecOOM = resp.ClassedError{Text: "EXECABORT Transaction discarded because of: OOM command not allowed when used memory > 'maxmemory'.", Class: resp.ClassMemory}
)

// ofValue is err when the value under a key is to blame, not an argument. Redis has
// the same words for both.
func ofValue(err resp.Error) error { return resp.ClassedError{Text: err, Class: resp.ClassValue} }

func errorReply(err error) resp.Value { return resp.ErrorReply(err) }

// errExpire is the reply to a lifetime that cannot be.
func errExpire(command string) error {
	return resp.Error("ERR invalid expire time in '" + command + "' command")
}

func (sp *Spec) errArity() error {
	return resp.Error("ERR wrong number of arguments for '" + sp.Name + "' command")
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
		quoted = append(quoted, quotable(a, most-len(quoted)+1)...)
		quoted = append(quoted, "' "...)
	}
	return resp.Error("ERR unknown command '" + quotable(args[0], most) + "', with args beginning with: " + string(quoted))
}

func unknownSubcommand(sp *Spec, name []byte) error {
	return resp.Error("ERR unknown subcommand '" + quotable(name, 128) + "'. Try " + strings.ToUpper(sp.Name) + " HELP.")
}

// quotable makes a client's bytes fit for an error line: cut at a NUL, as Redis
// does, and at most bytes, line ends replaced by spaces.
func quotable(b []byte, most int) string {
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
