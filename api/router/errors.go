package router

import (
	"strconv"

	"github.com/lockstepkv/lockstep/api/request"
	"github.com/lockstepkv/lockstep/resp"
)

// Error replies of the router itself, in Redis's words where Redis has them.
var (
	errSyntax        = resp.Err("ERR syntax error")
	errNotInteger    = resp.Err("ERR value is not an integer or out of range")
	errNoAuth        = request.CodeNoAuth.Reply("Authentication required.")
	errManyLogins    = request.CodeOverloaded.Reply("too many failed logins from this address, the password was not looked at")
	errWrongPass     = request.CodeWrongPass.Reply("invalid username-password pair or user is disabled.")
	errCrossSlot     = request.CodeCrossSlot.Reply("Keys in request don't hash to the same slot")
	errNotServed     = request.CodeUnavailable.Reply("Hash slot not served")
	errOOM           = request.CodeOOM.Reply("command not allowed when used memory > 'maxmemory'.")
	errNoCluster     = resp.Err("ERR This instance has cluster support disabled")
	errExecAbort     = request.CodeExecAbort.Reply("Transaction discarded because of previous errors.")
	errUnsupported   = resp.Err("ERR this node does not run that command")
	errNotInTx       = resp.Err("ERR Command not allowed inside a transaction")
	errSkipped       = request.CodeUnavailable.Reply("not applied: an earlier command of this pipeline failed")
	errTxTooLarge    = tooLarge("transaction is too large")
	errWatchTooLarge = tooLarge("too many keys are watched, none was added: a client may hold half of maxmemory-clients")
	errTxAllShards   = resp.Err("ERR a command that concerns all shards is not allowed inside a transaction when there are several shards")
	errDraining      = request.CodeUnavailable.Reply("this node is stopping and takes no new requests; nothing was executed")
	errLoading       = request.CodeLoading.Reply("Redis is loading the dataset in memory")
)

func tooLarge(text string) resp.Value {
	return request.Error{Code: request.CodeError, Class: resp.ClassTooLarge, Text: text}.Reply()
}

// writeError is the reply for a write whose Propose failed.
func writeError(err error) resp.Value { return request.FailedWrite(err).Reply() }

// readError is the reply for a read that failed.
func readError(err error) resp.Value { return request.FailedRead(err).Reply() }

func errArity(name string) resp.Value {
	return resp.Err("ERR wrong number of arguments for '" + name + "' command")
}

func movedTo(slot uint16, addr string) resp.Value {
	return request.CodeMoved.Reply("" + strconv.Itoa(int(slot)) + " " + addr)
}
