package command

import (
	"errors"
	"fmt"

	"github.com/lockstepkv/lockstep/resp"
)

// Query is a read of one shard, said twice: as something to run on a state, which is how a node
// with a replica answers it, and as commands, which a node without one sends to one that has it.
// The first form costs nothing to make, and both give the same.
type Query struct {
	// Run answers it under the state's read lock, maybe more than once. It must not keep entries.
	Run func(*Ctx)
	// Sent is its other form.
	Sent Sent
}

// Sent is a query as it is sent, and taken back answered. Neither method is called beside the
// other, nor after the read has returned.
type Sent interface {
	// Ask says what is asked: one unit for each reply.
	Ask(*Request)
	// Take gets the answer, with as many replies as were asked for. It may be called once at most.
	Take(*Answer)
}

// Request is what a query asks. Its commands only read.
type Request struct {
	Units Batch

	// As the fields of Ctx.
	NoTouch, BoundReplies bool
	ReplyBytes            int
}

// Answer is what came of a Request.
type Answer struct {
	Replies      []resp.Value
	ReplyBytes   int // those of the request, and what the replies take where they have a bound
	Hits, Misses int
	Keys         int // in the shard
}

// ErrNoQuery is the error of a request that changes something, or that cannot be read.
var ErrNoQuery = errors.New("what a node asks for is no query")

// CheckQuery reports what is wrong with units that were sent as a query.
func (t *Table) CheckQuery(body []byte, units int) error {
	return t.eachUnit(body, units, func(u *Unit) error {
		for _, args := range u.Cmds {
			// One that does not belong here answers with its error, as in the log.
			if sp, err := t.CheckData(args); err == nil && sp.Flags.Has(Write) {
				return fmt.Errorf("%w: %s writes", ErrNoQuery, sp.Name)
			}
		}
		return nil
	})
}

// Query answers a request whose units are in body, on a state that it does not change. They were
// checked by CheckQuery.
func (t *Table) Query(ctx *Ctx, req *Request, body []byte) (a Answer, err error) {
	ctx.NoTouch, ctx.BoundReplies, ctx.ReplyBytes = req.NoTouch, req.BoundReplies, req.ReplyBytes
	a.Replies = make([]resp.Value, 0, req.Units.N)
	err = t.eachUnit(body, req.Units.N, func(u *Unit) error {
		a.Replies = append(a.Replies, t.RunUnit(ctx, u))
		return nil
	})
	a.ReplyBytes, a.Hits, a.Misses, a.Keys = ctx.ReplyBytes, ctx.Hits, ctx.Misses, ctx.Store.Len()
	return a, err
}

func (t *Table) eachUnit(body []byte, units int, fn func(*Unit) error) error {
	var r UnitReader
	var u Unit
	n := 0
	for r.Reset(body); !r.Done(); n++ {
		if err := r.Next(&u); err != nil {
			return fmt.Errorf("%w: %w", ErrNoQuery, err)
		}
		if err := fn(&u); err != nil {
			return err
		}
	}
	if n != units {
		return fmt.Errorf("%w: %d units, %d were announced", ErrNoQuery, n, units)
	}
	return nil
}

// Single is a query of one command, in a form that has both of Query's. Its replies have a
// bound if BoundReplies says so.
type Single struct {
	Args         Args
	NoTouch      bool
	BoundReplies bool
	ReplyBytes   int // before; see Ctx

	Reply resp.Value
	Keys  int // in the shard
}

// Query returns it as one.
func (s *Single) Query() Query { return Query{Run: s.run, Sent: s} }

func (s *Single) run(ctx *Ctx) {
	ctx.NoTouch, ctx.BoundReplies, ctx.ReplyBytes = s.NoTouch, s.BoundReplies, s.ReplyBytes
	s.Reply, s.Keys = ctx.Table.Exec(ctx, s.Args), ctx.Store.Len()
}

// Ask implements Sent.
func (s *Single) Ask(r *Request) {
	r.Units.Add(s.Args)
	r.NoTouch, r.BoundReplies, r.ReplyBytes = s.NoTouch, s.BoundReplies, s.ReplyBytes
}

// Take implements Sent.
func (s *Single) Take(a *Answer) { s.Reply, s.Keys = a.Replies[0], a.Keys }
