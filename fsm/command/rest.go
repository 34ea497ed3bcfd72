package command

import "github.com/lockstepkv/lockstep/resp"

// Rest is what is left to do of the reply to a read once the state is no longer held: a long
// one is made from a frozen view, while others write. Whoever answers reads one by one offers
// it (Ctx.Rest), and calls Reply or Drop of what was left.
type Rest struct {
	reply   func() resp.Value
	release func()
}

// LongRead is from how many elements on a read of a large value leaves its reply. What
// it costs to copy what is changed beside a view is more than what shorter ones take.
const LongRead = 1024

// Leave leaves a reply to Rest, which must not be nil, and with it the views that it is made
// from: release lets go of them. The result is nobody's reply.
func (c *Ctx) Leave(reply func() resp.Value, release func()) resp.Value {
	*c.Rest = Rest{reply, release}
	return resp.Nil
}

// Left reports whether something was left.
func (r *Rest) Left() bool { return r.reply != nil }

// Reply makes the reply, and lets go of what it is made from.
func (r *Rest) Reply() resp.Value {
	defer r.Drop()
	return r.reply()
}

// Drop lets go of what the reply would be made from.
func (r *Rest) Drop() { r.release() }
