package router

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/resp"
)

// Error replies of the router itself, in Redis's words where Redis has them.
var (
	errSyntax        = resp.Err("ERR syntax error")
	errNotInteger    = resp.Err("ERR value is not an integer or out of range")
	errNoAuth        = resp.Err("NOAUTH Authentication required.")
	errManyLogins    = resp.Err("TRYAGAIN too many failed logins from this address, the password was not looked at")
	errWrongPass     = resp.Err("WRONGPASS invalid username-password pair or user is disabled.")
	errCrossSlot     = resp.Err("CROSSSLOT Keys in request don't hash to the same slot")
	errNotServed     = resp.Err("CLUSTERDOWN Hash slot not served")
	errOOM           = resp.Err("OOM command not allowed when used memory > 'maxmemory'.")
	errNoCluster     = resp.Err("ERR This instance has cluster support disabled")
	errExecAbort     = resp.Err("EXECABORT Transaction discarded because of previous errors.")
	errUnsupported   = resp.Err("ERR this node does not run that command")
	errNotInTx       = resp.Err("ERR Command not allowed inside a transaction")
	errSkipped       = resp.Err("CLUSTERDOWN not applied: an earlier command of this pipeline failed")
	errTxTooLarge    = resp.ErrorReply(resp.ClassedError{Text: "ERR transaction is too large", Class: resp.ClassTooLarge})
	errWatchTooLarge = resp.ErrorReply(resp.ClassedError{Text: "ERR too many keys are watched, none was added: a client may hold half of maxmemory-clients", Class: resp.ClassTooLarge})
	errTxAllShards   = resp.Err("ERR a command that concerns all shards is not allowed inside a transaction when there are several shards")
	errDraining      = resp.Err("CLUSTERDOWN this node is stopping and takes no new requests; nothing was executed")
	errLoading       = resp.Err("LOADING Redis is loading the dataset in memory")
)

// writeError is the reply for a write whose Propose failed. What the shard did
// not declare to be definite is in doubt.
func writeError(err error) resp.Value {
	var re resp.Error
	switch {
	case errors.Is(err, command.ErrInDoubt):
		return coded("INDOUBT", err)
	case errors.Is(err, command.ErrUnavailable):
		return coded("CLUSTERDOWN", err)
	case errors.Is(err, command.ErrOverloaded):
		return coded("TRYAGAIN", err)
	case errors.Is(err, command.ErrNoRoom):
		return resp.ErrorReply(resp.ClassedError{Text: resp.Error("OOM " + oneLine(err.Error())), Class: resp.ClassDisk})
	case errors.As(err, &re):
		return reply(re, err)
	default:
		return coded("INDOUBT", err)
	}
}

// readError is the reply for a read that failed; nothing can have happened.
func readError(err error) resp.Value {
	var re resp.Error
	switch {
	case errors.Is(err, command.ErrTooStale):
		return resp.ErrorReply(resp.ClassedError{Text: resp.Error("TRYAGAIN " + oneLine(err.Error())), Class: resp.ClassTooStale})
	case errors.Is(err, command.ErrOverloaded):
		return coded("TRYAGAIN", err)
	case errors.As(err, &re):
		return reply(re, err)
	case errors.Is(err, context.DeadlineExceeded):
		return resp.Err("CLUSTERDOWN the read could not be confirmed before its deadline")
	default:
		return coded("CLUSTERDOWN", err)
	}
}

// reply is what re says, with the class that err, in which it was found, may have.
func reply(re resp.Error, err error) resp.Value {
	var c resp.ClassedError
	if errors.As(err, &c) {
		return resp.ErrorReply(c)
	}
	return resp.ErrorReply(re)
}

func coded(code string, err error) resp.Value {
	return resp.Err(code + " " + oneLine(err.Error()))
}

// oneLine keeps an error text within one line of the protocol.
func oneLine(s string) string {
	if strings.ContainsAny(s, "\r\n") {
		s = strings.NewReplacer("\r", " ", "\n", " ").Replace(s)
	}
	return s
}

func errArity(name string) resp.Value {
	return resp.Err("ERR wrong number of arguments for '" + name + "' command")
}

// clip returns at most n bytes of b, on one line.
func clip(b []byte, n int) string {
	if len(b) > n {
		b = b[:n]
	}
	return oneLine(string(b))
}

func movedTo(slot uint16, addr string) resp.Value {
	return resp.Err("MOVED " + strconv.Itoa(int(slot)) + " " + addr)
}
