package command

import (
	"strconv"

	"github.com/lockstepkv/lockstep/resp"
)

// Part is what one shard answered of a command that concerns several.
type Part struct {
	Reply resp.Value
	Keys  []int // of a command that was split: the places of its keys among those of the whole
	Size  int   // how many keys the shard has
}

// Merge joins the replies of several shards, none of which is an error. keys is how many
// words follow the name. It runs on the node that a client is connected to.
type Merge func(parts []Part, keys int) resp.Value

// FirstReply is the reply of any shard: they are all the same.
func FirstReply(parts []Part, _ int) resp.Value {
	if len(parts) == 0 {
		return resp.OK
	}
	return parts[0].Reply
}

// Sum adds up numbers.
func Sum(parts []Part, _ int) resp.Value {
	var n int64
	for i := range parts {
		n += parts[i].Reply.Int
	}
	return resp.Int(n)
}

// Concat joins lists in the order of the shards.
func Concat(parts []Part, _ int) resp.Value {
	var all []resp.Value
	for i := range parts {
		all = append(all, parts[i].Reply.Elems...)
	}
	return resp.Array(all...)
}

// InOrder puts each key's element where the key was.
func InOrder(parts []Part, keys int) resp.Value {
	out := make([]resp.Value, keys)
	for _, pt := range parts {
		for i, at := range pt.Keys {
			out[at] = pt.Reply.Elems[i]
		}
	}
	return resp.Array(out...)
}

// StartCursor begins a walk, and tells at its end that it is over.
const StartCursor = "0"

// Cursor is how the cursor of a walk over all shards is made of the cursors within each:
// a client that gives it back goes on where it stopped, on the shard where it stopped.
type Cursor struct {
	// Read takes a cursor apart. The error is for the client.
	Read func(cursor []byte) (shard int, inner []byte, err error)
	// Join makes one of a shard's number and of what the shard answered, or StartCursor.
	Join func(shard int, inner []byte) (cursor []byte, err error)
}

// cursorShift: a NumberCursor is the shard in the high bits and the cursor within the
// shard below.
const cursorShift = 48

// NumberCursor is the cursor of SCAN, a number as clients of Redis want it.
var NumberCursor = &Cursor{
	Read: func(cursor []byte) (shard int, inner []byte, err error) {
		n, err := strconv.ParseUint(string(cursor), 10, 64)
		if err != nil {
			return 0, nil, ErrCursor
		}
		return int(n >> cursorShift), strconv.AppendUint(nil, n&(1<<cursorShift-1), 10), nil
	},
	Join: func(shard int, inner []byte) ([]byte, error) {
		n, err := strconv.ParseUint(string(inner), 10, cursorShift)
		if err != nil {
			return nil, resp.Error("ERR malformed cursor of a shard")
		}
		return strconv.AppendUint(nil, uint64(shard)<<cursorShift|n, 10), nil
	},
}
