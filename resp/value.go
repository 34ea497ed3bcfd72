package resp

import (
	"errors"
	"math"
)

// Kind tells how a Value is to be read.
type Kind uint8

// The kinds of RESP3. RESP2 has no word for some of them; the Writer says how
// each is then spelled.
const (
	KindNil       Kind = iota // RESP3 "_", RESP2 "$-1"
	KindNilArray              // RESP3 "_", RESP2 "*-1"
	KindSimple                // "+OK"
	KindError                 // "-ERR ..."
	KindInt                   // ":1"
	KindBulk                  // "$3"
	KindArray                 // "*2"
	KindMap                   // "%1": Elems alternate key, value; RESP2 flat array
	KindSet                   // "~2"; RESP2 array
	KindDouble                // ",1.5"; RESP2 bulk string
	KindBool                  // "#t"; RESP2 integer 0 or 1
	KindVerbatim              // "=7\r\ntxt:..."; RESP2 bulk string; Str is the text without "txt:"
	KindBigNumber             // "(123"; RESP2 bulk string
	KindPush                  // ">2"; RESP2 array
	KindPairs                 // Elems alternate as those of a map; an array of arrays of two; RESP2 flat array
)

// Value is one reply. It is small enough to pass by value; Str and Elems are
// shared, never modified after the Value was made.
type Value struct {
	Kind  Kind
	Int   int64   // KindInt; KindBool (0 or 1); KindDouble (math.Float64bits); KindError (its Class)
	Str   []byte  // KindSimple, KindError, KindBulk, KindVerbatim, KindBigNumber
	Elems []Value // KindArray, KindMap, KindSet, KindPush, KindPairs
}

// Replies that are used so often that they are made once.
var (
	OK         = Value{Kind: KindSimple, Str: []byte("OK")}
	Queued     = Value{Kind: KindSimple, Str: []byte("QUEUED")}
	Pong       = Value{Kind: KindSimple, Str: []byte("PONG")}
	Nil        = Value{Kind: KindNil}
	NilArray   = Value{Kind: KindNilArray}
	Zero       = Value{Kind: KindInt, Int: 0}
	One        = Value{Kind: KindInt, Int: 1}
	EmptyArray = Value{Kind: KindArray}
)

// Error is an error in Redis's words: an upper-case code, a space, a text.
type Error string

func (e Error) Error() string { return string(e) }

// Code returns the first word, by which clients tell errors apart.
func (e Error) Code() string {
	for i := 0; i < len(e); i++ {
		if e[i] == ' ' {
			return string(e[:i])
		}
	}
	return string(e)
}

// Text returns what follows the code.
func (e Error) Text() string {
	if n := len(e.Code()) + 1; n < len(e) {
		return string(e[n:])
	}
	return ""
}

// Class tells what an error is about where its code, often just ERR, does not. It
// travels between nodes and into snapshots with the reply, and is no part of RESP. The
// numbers are part of the binary format.
type Class uint8

// The classes.
const (
	ClassNone      Class = iota // what the code says
	ClassValue                  // the value under a key is not of the form that the command needs
	ClassNoKey                  // a key is missing that must be there
	ClassTooLarge               // something would be larger than allowed
	ClassTooStale               // a stale read asked for younger data than there are
	ClassMemory                 // memory is full
	ClassDisk                   // disks are full
	ClassElsewhere              // a key is on another shard
	classCount
)

// ClassedError is an Error with a class.
type ClassedError struct {
	Text  Error
	Class Class
}

func (e ClassedError) Error() string { return string(e.Text) }

// Unwrap makes it an Error to errors.As.
func (e ClassedError) Unwrap() error { return e.Text }

// ErrorReply returns the reply that err is. Its text must start with a code.
func ErrorReply(err error) Value {
	v := Value{Kind: KindError, Str: []byte(err.Error())}
	var c ClassedError
	if errors.As(err, &c) {
		v.Int = int64(c.Class)
	}
	return v
}

// Class returns the class of an error reply.
func (v Value) Class() Class {
	if v.Kind != KindError {
		return ClassNone
	}
	return Class(v.Int)
}

// Simple returns a simple string reply.
func Simple(s string) Value { return Value{Kind: KindSimple, Str: []byte(s)} }

// Err returns an error reply. The text must start with the error's code.
func Err(text string) Value { return Value{Kind: KindError, Str: []byte(text)} }

// Int returns an integer reply.
func Int(n int64) Value { return Value{Kind: KindInt, Int: n} }

// Bulk returns a bulk string reply that shares b.
func Bulk(b []byte) Value { return Value{Kind: KindBulk, Str: b} }

// BulkString returns a bulk string reply.
func BulkString(s string) Value { return Value{Kind: KindBulk, Str: []byte(s)} }

// Array returns an array reply that shares elems.
func Array(elems ...Value) Value { return Value{Kind: KindArray, Elems: elems} }

// Map returns a map reply of alternating keys and values.
func Map(pairs ...Value) Value { return Value{Kind: KindMap, Elems: pairs} }

// Pairs returns a reply of pairs that are in order, or come more than once.
func Pairs(elems ...Value) Value { return Value{Kind: KindPairs, Elems: elems} }

// Set returns a set reply.
func Set(elems ...Value) Value { return Value{Kind: KindSet, Elems: elems} }

// Double returns a floating point reply.
func Double(f float64) Value { return Value{Kind: KindDouble, Int: int64(math.Float64bits(f))} }

// Bool returns a boolean reply.
func Bool(b bool) Value {
	if b {
		return Value{Kind: KindBool, Int: 1}
	}
	return Value{Kind: KindBool}
}

// Verbatim returns a text reply that clients should show as it is.
func Verbatim(text string) Value { return Value{Kind: KindVerbatim, Str: []byte(text)} }

// Float returns the number of a KindDouble value.
func (v Value) Float() float64 { return math.Float64frombits(uint64(v.Int)) }

// IsNil reports whether v is one of the two nulls.
func (v Value) IsNil() bool { return v.Kind == KindNil || v.Kind == KindNilArray }

// IsError reports whether v is an error reply.
func (v Value) IsError() bool { return v.Kind == KindError }

// AsError returns the error that v carries, or nil.
func (v Value) AsError() error {
	if v.Kind != KindError {
		return nil
	}
	return Error(v.Str)
}

// Size returns about how many bytes v holds.
func (v Value) Size() int {
	n := 16 + len(v.Str)
	for i := range v.Elems {
		n += v.Elems[i].Size()
	}
	return n
}

// detachBelow is the length from which strings have memory of their own; see Detach.
const detachBelow = 1024

// Detach returns v with copies of its short strings. A short string of a reply may be part
// of a larger piece of memory, which lives as long as the reply: who keeps replies detaches
// them.
func (v Value) Detach() Value {
	return v.copied(func(v *Value) bool {
		return (v.Kind == KindBulk || v.Kind == KindVerbatim) && len(v.Str) < detachBelow
	})
}

// Clone returns v with copies of all its strings.
func (v Value) Clone() Value { return v.copied(func(*Value) bool { return true }) }

// copied returns v with copies of the strings of those values that which chooses.
func (v Value) copied(which func(*Value) bool) Value {
	if len(v.Str) > 0 && which(&v) {
		v.Str = append([]byte(nil), v.Str...)
	}
	if len(v.Elems) > 0 {
		elems := make([]Value, len(v.Elems))
		for i := range v.Elems {
			elems[i] = v.Elems[i].copied(which)
		}
		v.Elems = elems
	}
	return v
}
