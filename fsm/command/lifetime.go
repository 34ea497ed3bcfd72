package command

import (
	"math"

	"github.com/lockstepkv/lockstep/resp"
)

// SecondMillis is a second in milliseconds, the unit of all lifetimes within.
const SecondMillis = 1000

// Lifetime is the argument of EX, PX, EXAT or PXAT; the zero Lifetime is none.
type Lifetime struct {
	Arg      []byte
	Unit     int64 // milliseconds
	Absolute bool  // a Unix time
}

// Given reports whether there is one.
func (x Lifetime) Given() bool { return x.Unit != 0 }

// At returns the Unix time in milliseconds that x stands for at now. Unlike
// EXPIRE, the options of SET and GETEX take no zero and nothing negative.
func (x Lifetime) At(now int64, command string) (int64, error) {
	n, err := IntArg(x.Arg)
	if err != nil {
		return 0, err
	}
	if n <= 0 || n > math.MaxInt64/x.Unit {
		return 0, ErrLifetime(command)
	}
	n *= x.Unit
	if x.Absolute {
		return n, nil
	}
	if AddOverflows(n, now) {
		return 0, ErrLifetime(command)
	}
	return n + now, nil
}

// ErrLifetime is the reply to a lifetime that cannot be.
func ErrLifetime(command string) error {
	return resp.Error("ERR invalid expire time in '" + command + "' command")
}

// EX, PX, EXAT and PXAT are the options that give a lifetime.
func EX[T any](to func(*T) *Lifetime) Option[T] {
	return lifetime("EX", Integer("seconds"), Lifetime{Unit: SecondMillis}, to)
}

// PX is EX in milliseconds.
func PX[T any](to func(*T) *Lifetime) Option[T] {
	return lifetime("PX", Integer("milliseconds"), Lifetime{Unit: 1}, to)
}

// EXAT takes a Unix time in seconds.
func EXAT[T any](to func(*T) *Lifetime) Option[T] {
	return lifetime("EXAT", UnixTime("unix-time-seconds").As("unix-seconds"), Lifetime{Unit: SecondMillis, Absolute: true}, to)
}

// PXAT takes a Unix time in milliseconds.
func PXAT[T any](to func(*T) *Lifetime) Option[T] {
	return lifetime("PXAT", UnixTime("unix-time-milliseconds").As("unix-milliseconds"), Lifetime{Unit: 1, Absolute: true}, to)
}

func lifetime[T any](word string, arg Arg, kind Lifetime, to func(*T) *Lifetime) Option[T] {
	return Value(word, arg, func(op *T, value []byte) error {
		kind := kind
		kind.Arg = value
		*to(op) = kind
		return nil
	})
}
