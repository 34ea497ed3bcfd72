package lists

import (
	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/resp"
	"github.com/lockstepkv/lockstep/store"
	"github.com/lockstepkv/lockstep/store/value/list"
)

// Commands lists the commands on lists.
func Commands(t *command.Table) []*command.Spec {
	t.Register(kind)
	return []*command.Spec{
		specLPush, specRPush, specLPushX, specRPushX, specLInsert, specLSet,
		specLPop, specRPop, specLMPop, specLMove, specRPopLPush,
		specLLen, specLIndex, specLRange, specLPos,
		specLRem, specLTrim,
	}
}

var kind = &command.Kind{
	Type: store.List, Words: 1,
	Whole: func(e *store.Entry) resp.Value {
		r := replies{List: e.List()}
		all := make([]resp.Value, 0, r.Len())
		r.Forward(0, func(p []byte) bool {
			all = append(all, r.bulk(p))
			return true
		})
		return resp.Array(all...)
	},
	Make: func(ctx *command.Ctx, words command.Args) (store.Collection, error) {
		l, bytes := list.New(), 0
		for _, p := range words {
			bytes += len(p)
		}
		l.Reserve(ctx.Limits.List(), len(words), bytes)
		for _, p := range words {
			l.PushBack(p)
		}
		return l, nil
	},
}

const (
	errPositive  = resp.Error("ERR value is out of range, must be positive")
	errRankZero  = resp.Error("ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use negative to start from the end of the list")
	errNegCount  = resp.Error("ERR COUNT can't be negative")
	errNegMaxLen = resp.Error("ERR MAXLEN can't be negative")
	errCountZero = resp.Error("ERR count should be greater than 0")
)

// Errors about the list, not an argument.
var (
	errIndex = command.OfValue("ERR index out of range")
	errNoKey = resp.ClassedError{Text: "ERR no such key", Class: resp.ClassNoKey}
)

var acl = []string{"list"}

// end is one of the two ends of a list.
type end bool

const (
	left  end = false
	right end = true
)

func wordOf(at end) string {
	if at == right {
		return "RIGHT"
	}
	return "LEFT"
}

// popName is the name of the command that pops there.
func (at end) popName() string {
	if at == right {
		return "RPOP"
	}
	return "LPOP"
}

// pushName is the name of the command that pushes there.
func (at end) pushName() string {
	if at == right {
		return "RPUSH"
	}
	return "LPUSH"
}

// parseEnd reads LEFT or RIGHT.
func parseEnd(word []byte) (end, error) {
	for _, at := range []end{left, right} {
		if command.IsWord(word, wordOf(at)) {
			return at, nil
		}
	}
	return left, command.ErrSyntax
}

// endArg is an argument that is LEFT or RIGHT.
func endArg(name string) command.Arg {
	return command.OneOf(name, command.Token("LEFT"), command.Token("RIGHT"))
}

// read returns the list under key, nil for absent.
func read(ctx *command.Ctx, key []byte) (*list.List, error) { return of(ctx.ReadOf(store.List, key)) }

// peek is read for ReplySize. What has another type is absent to it.
func peek(ctx *command.Ctx, key []byte) *list.List {
	l, _ := of(command.OfType(store.List, ctx.Peek(key)))
	return l
}

func of(e *store.Entry, err error) (*list.List, error) {
	if e == nil {
		return nil, err
	}
	return e.List(), nil
}

// replies makes replies of elements of one list.
type replies struct {
	*list.List
	copies command.Copies
}

func (r *replies) bulk(e []byte) resp.Value {
	if r.Lasting(e) {
		return resp.Bulk(e)
	}
	return r.copies.Bulk(e)
}

// span returns the first place and the one behind the last of what START and STOP stand for in
// a list of n elements; both are 0 when that is nothing.
func span(start, stop int64, n int) (from, to int) {
	length := int64(n)
	if start < 0 {
		start = max(start+length, 0)
	}
	if stop < 0 {
		stop += length
	}
	if start > stop || start >= length {
		return 0, 0
	}
	return int(start), int(min(stop, length-1)) + 1
}

// place returns the place that an index stands for in a list of n elements.
func place(index int64, n int) (i int, ok bool) {
	if index < 0 {
		index += int64(n)
	}
	return int(index), index >= 0 && index < int64(n)
}
