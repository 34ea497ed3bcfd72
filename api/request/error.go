package request

import (
	"context"
	"errors"
	"strings"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/resp"
)

// Outcome is what became of a request, in the words of the HTTP interface.
type Outcome string

// The outcomes.
const (
	Done    Outcome = ""            // it has run
	Refused Outcome = "not_applied" // it failed for certain: nothing has happened, and nothing will
	InDoubt Outcome = "in_doubt"    // it may have happened or not, or happen later
)

// Code tells errors apart for programs. It is the first word of an error reply.
type Code string

// The codes that somebody asks for; the state machine has a few more.
const (
	CodeError        Code = "ERR" // nothing more particular
	CodeInDoubt      Code = "INDOUBT"
	CodeUnavailable  Code = "CLUSTERDOWN"
	CodeOverloaded   Code = "TRYAGAIN"
	CodeLoading      Code = "LOADING"
	CodeOOM          Code = command.CodeOOM
	CodeMoved        Code = "MOVED"
	CodeCrossSlot    Code = "CROSSSLOT"
	CodeWrongType    Code = "WRONGTYPE"
	CodeCondition    Code = command.CodeCondition
	CodeStaleFence   Code = command.CodeStaleFence
	CodeExecAbort    Code = "EXECABORT"
	CodeOnceMismatch Code = "ONCEMISMATCH"
	CodeOnceFull     Code = "ONCEFULL"
	CodeOnceShare    Code = "ONCESHARE"
	CodeOnceExpired  Code = "ONCEEXPIRED"
	CodeNoAuth       Code = "NOAUTH"
	CodeWrongPass    Code = "WRONGPASS"
	CodeNoPerm       Code = "NOPERM"
	CodeNoProto      Code = "NOPROTO"
)

// Reply is the error reply with that code and text.
func (c Code) Reply(text string) resp.Value { return resp.Err(string(c) + " " + OneLine(text)) }

// Error is a request that failed.
type Error struct {
	Code  Code
	Class resp.Class // what it is about, where the code does not say that
	Text  string     // for people
}

// OfReply returns the error that an error reply is.
func OfReply(v resp.Value) Error {
	e := resp.Error(v.Str)
	return Error{Code: Code(e.Code()), Class: v.Class(), Text: e.Text()}
}

// OutcomeOf tells what became of the request that v answers.
func OutcomeOf(v resp.Value) Outcome {
	if !v.IsError() {
		return Done
	}
	return OfReply(v).Outcome()
}

// Outcome is Refused or InDoubt.
func (e Error) Outcome() Outcome {
	if e.Code == CodeInDoubt {
		return InDoubt
	}
	return Refused
}

// Error is what the Redis port writes.
func (e Error) Error() string {
	if e.Text == "" {
		return string(e.Code)
	}
	return string(e.Code) + " " + e.Text
}

// Reply is the error reply that e is.
func (e Error) Reply() resp.Value {
	return resp.ErrorReply(resp.ClassedError{Text: resp.Error(e.Error()), Class: e.Class})
}

// FailedWrite is the error of a write whose Propose returned err. What the shard did not
// declare to be definite is in doubt.
func FailedWrite(err error) Error { return failedWrite(err, err.Error()) }

// FailedTry is FailedWrite for a write under an idempotency id: its error is about this try,
// nothing is known of those before it.
func FailedTry(err error) Error { return failedWrite(err, command.OfThisTry(err)) }

func failedWrite(err error, text string) Error {
	switch {
	case errors.Is(err, command.ErrInDoubt):
		return coded(CodeInDoubt, text)
	case errors.Is(err, command.ErrUnavailable):
		return coded(CodeUnavailable, text)
	case errors.Is(err, command.ErrOverloaded):
		return coded(CodeOverloaded, text)
	case errors.Is(err, command.ErrNoRoom):
		return Error{Code: CodeOOM, Class: resp.ClassDisk, Text: OneLine(text)}
	}
	if e, ok := ofWords(err); ok {
		return e
	}
	return coded(CodeInDoubt, text)
}

// FailedRead is the error of a read that failed with err; nothing can have happened.
func FailedRead(err error) Error {
	switch {
	case errors.Is(err, command.ErrTooStale):
		return Error{Code: CodeOverloaded, Class: resp.ClassTooStale, Text: OneLine(err.Error())}
	case errors.Is(err, command.ErrOverloaded):
		return coded(CodeOverloaded, err.Error())
	}
	if e, ok := ofWords(err); ok {
		return e
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return coded(CodeUnavailable, "the read could not be confirmed before its deadline")
	}
	return coded(CodeUnavailable, err.Error())
}

// ofWords is an error of the commands, which has its code and may have a class.
func ofWords(err error) (Error, bool) {
	var c resp.ClassedError
	if errors.As(err, &c) {
		return OfReply(resp.ErrorReply(c)), true
	}
	var words resp.Error
	if errors.As(err, &words) {
		return OfReply(resp.ErrorReply(words)), true
	}
	return Error{}, false
}

func coded(c Code, text string) Error { return Error{Code: c, Text: OneLine(text)} }

// Clip returns at most n bytes of b, on one line.
func Clip(b []byte, n int) string { return OneLine(string(b[:min(n, len(b))])) }

// OneLine keeps a text within one line of the protocol.
func OneLine(s string) string {
	if strings.ContainsAny(s, "\r\n") {
		s = strings.NewReplacer("\r", " ", "\n", " ").Replace(s)
	}
	return s
}
