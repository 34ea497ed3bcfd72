package command

import (
	"math"
	"strings"

	"github.com/lockstepkv/lockstep/resp"
	"github.com/lockstepkv/lockstep/store"
)

const (
	// MaxReplyBytes bounds what the replies to the batches of one node take that the
	// state machine keeps: on every replica, and in its snapshots.
	MaxReplyBytes = 32 << 20
	// smallReplies is up to which sum of other replies a single value is answered
	// whatever its length: what a client may store, it may also get back.
	smallReplies = 1 << 20
	// ValueBytes is what a resp.Value takes besides its string.
	ValueBytes = 64
)

// What becomes of a command in the log whose reply would be too large. It was not
// run in any of these cases.
var (
	ReplyTooLarge = resp.Err("ERR reply too large: together with those of the same transaction or request it may take 32 MiB; " +
		"this command was not run")
	execTooLarge = resp.Err("EXECABORT Transaction discarded because of: its replies would take more than 32 MiB")
	repliesFull  = resp.Err(codeRepliesFull + "there is no room for this one beside others, the command was not run")
)

const codeRepliesFull = "TRYAGAIN replies: "

// RepliesFull reports whether v says that a command or a transaction was not run
// because of the replies to others, so that it may have room when it comes again.
func RepliesFull(v resp.Value) bool {
	return v.Kind == resp.KindError && strings.HasPrefix(string(v.Str), codeRepliesFull)
}

// ReplyCost returns what v takes in memory.
func ReplyCost(v resp.Value) int {
	n := ValueBytes + len(v.Str)
	for i := range v.Elems {
		n += ReplyCost(v.Elems[i])
	}
	return n
}

// bounded reports whether replies are held to a bound.
func (c *Ctx) bounded() bool { return c.InLog || c.BoundReplies }

// ReplyRoom is how many bytes a reply may have that is made piece by piece.
func (c *Ctx) ReplyRoom() int {
	if !c.bounded() {
		return math.MaxInt
	}
	return MaxReplyBytes - c.ReplyBytes
}

// fits reports whether a reply with so many bytes in so many values may be kept
// beside what takes held bytes already.
func fits(held, bytes, values int) bool {
	return held+bytes <= MaxReplyBytes || values == 1 && held <= smallReplies
}

// Refused returns the error that op answers instead of running, or false. Whether
// the error is for good depends on what would happen if op came alone.
func (c *Ctx) Refused(op Op) (resp.Value, bool) {
	s, ok := op.(Sizer)
	if !ok || !c.bounded() {
		return resp.Value{}, false
	}
	bytes, values := s.ReplySize(c)
	return c.Refusal(bytes, values)
}

// Refusal is Refused for a reply of so many bytes in so many values.
func (c *Ctx) Refusal(bytes, values int) (resp.Value, bool) {
	if c.OnceID != nil && bytes > 0 {
		if err := c.Once.Room(c.OnceID, c.Owner, bytes).Err(); err != nil {
			return resp.ErrorReply(err), true
		}
	}
	switch {
	case bytes == 0 || fits(c.ReplyBytes, bytes, values):
		return resp.Value{}, false
	case c.inMulti || !fits(0, bytes, values):
		return ReplyTooLarge, true
	}
	return repliesFull, true
}

// ValuesIn is 1 if replies that cost so much are one value, of any length, and little beside
// it; otherwise 2, which stands for several.
func ValuesIn(cost int, replies []resp.Value) int {
	if cost-longest(replies) <= smallReplies {
		return 1
	}
	return 2
}

// longest is the length of the longest string in values.
func longest(values []resp.Value) (n int) {
	for i := range values {
		n = max(n, len(values[i].Str), longest(values[i].Elems))
	}
	return n
}

// charge counts the reply of a command. One that only reads and could not tell the
// length of its reply before it ran is refused now.
func (c *Ctx) charge(sp *Spec, op Op, reply resp.Value) resp.Value {
	if !c.bounded() {
		return reply
	}
	cost := ReplyCost(reply)
	if _, told := op.(Sizer); !told && sp.Flags.Has(ReadOnly) {
		values := ValuesIn(cost, []resp.Value{reply})
		if len(reply.Elems)+len(reply.Str) > 0 {
			if v, no := c.Refusal(cost, values); no {
				return v
			}
		}
	}
	c.ReplyBytes += cost
	return reply
}

// refusedUnit is Refused for all commands of a transaction, by the state before any
// of them ran. What they do to each other's replies is not known then; each is
// asked once more when its turn comes.
func (c *Ctx) refusedUnit(ops []Op) (resp.Value, bool) {
	if !c.bounded() {
		return resp.Value{}, false
	}
	total, count := 0, 0
	beside, alone := true, true
	for _, op := range ops {
		s, ok := op.(Sizer)
		if !ok {
			continue
		}
		bytes, values := s.ReplySize(c)
		if bytes == 0 {
			continue
		}
		beside = beside && fits(c.ReplyBytes+total, bytes, values)
		alone = alone && fits(total, bytes, values)
		total += bytes
		if count++; !alone {
			return execTooLarge, true
		}
	}
	if !beside {
		return repliesFull, true
	}
	return resp.Value{}, false
}

// ValueSize is ReplySize for the string under one key.
func (c *Ctx) ValueSize(key []byte) (bytes, values int) {
	if e := c.Peek(key); e != nil && e.Type() == store.String {
		return ValueBytes + e.Len(), 1
	}
	return 0, 1
}
