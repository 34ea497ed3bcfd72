package waiting

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"strconv"
	"time"

	"github.com/lockstepkv/lockstep/api/request"
	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/fsm/command/locks"
	"github.com/lockstepkv/lockstep/fsm/command/queries"
	"github.com/lockstepkv/lockstep/fsm/lock"
	"github.com/lockstepkv/lockstep/fsm/wait"
	"github.com/lockstepkv/lockstep/resp"
)

var (
	errLostPlace  = request.CodeOverloaded.Reply("this node was out of the shard leader's reach and lost the place in the lock's queue, nothing was granted")
	errClientGone = request.CodeOverloaded.Reply("the client is gone")
	errStopping   = request.CodeOverloaded.Reply("this node is stopping, nothing was granted")
)

// LockResult is what became of a request for a lock.
type LockResult struct {
	Got   bool
	Token string
	lock.Grant
	// Holder is the owner of the grant in force when the lock was not got; its
	// fence and end are in Grant. Unknown after a wait.
	Holder string
	// Err is an error reply; then nothing else is set.
	Err resp.Value
}

// lockRequest is a request for a lock on its way.
type lockRequest struct {
	blocked
	req    lock.Request
	once   string
	result LockResult // once the wait is over
}

// Lock takes a lock, waiting for it as long as req says, which names this node's life in
// the shard. once is an idempotency id or "". The token is made here. The record of an id
// keeps that of the first try, so that a retry finds the grant, or the place in the queue.
func (c *Clients) Lock(ctx context.Context, client Client, sh Shard, req lock.Request, once string) LockResult {
	l := &lockRequest{blocked: blocked{c: c, client: client, shard: sh}, req: req, once: once}
	l.until = time.Now().Add(time.Duration(req.WaitMillis) * time.Millisecond)
	l.expect(newToken())
	defer l.unwatch()
	status, result := l.ask(ctx, once)
	if status != locks.Queued {
		return result
	}
	if once != "" {
		// The answer may be that of the first try, and old.
		over, sure := l.look(ctx)
		if l.unsure = !sure; over {
			return l.result
		}
	}
	switch l.wait(ctx, l) {
	case decided:
		return l.unlessGone(ctx, l.result)
	case timeIsUp:
		return l.giveUp(ctx)
	case nodeStops:
		return l.stopped(ctx)
	}
	return l.left()
}

// expect listens for what becomes of a token.
func (l *lockRequest) expect(token string) {
	l.req.Token = token
	l.watch(lock.Outcome(token))
}

func newToken() string {
	var raw [16]byte
	_, _ = rand.Read(raw[:]) // crypto/rand never fails
	return hex.EncodeToString(raw[:])
}

// ask logs the request, under an idempotency id or none. A status other than
// LockQueued comes with the result.
func (l *lockRequest) ask(ctx context.Context, once string) (status int64, result LockResult) {
	q := &l.req
	args := command.Args{
		[]byte("LS.LOCK"), []byte(q.Name), itoa(q.TTLMillis), []byte(q.Owner), itoa(q.WaitMillis),
		[]byte(q.Token), []byte(q.Node), strconv.AppendUint(nil, q.Boot, 10),
	}
	if once != "" {
		args = append(command.Args{[]byte("ONCE"), []byte(once)}, args...)
	}
	late := make(chan bool, 1)
	v, doubt := l.propose(ctx, args, func(_ []resp.Value, err error) {
		late <- err == nil || errors.Is(err, command.ErrInDoubt)
	})
	switch {
	case doubt:
		if once == "" { // else the client asks again, and finds its grant or its place
			l.undo(late)
		}
		return locks.Held, LockResult{Err: v}
	case v.Kind == resp.KindError:
		return locks.Held, LockResult{Err: v}
	case len(v.Elems) < 5:
		return locks.Held, LockResult{Err: request.CodeInDoubt.Reply("the shard's answer makes no sense")}
	}
	if first := string(v.Elems[4].Str); first != q.Token { // that of the first try
		l.expect(first)
	}
	g := lock.Grant{Fence: uint64(v.Elems[1].Int), ExpiresAt: v.Elems[2].Int}
	status = v.Elems[0].Int
	return status, LockResult{Got: status == locks.Granted, Token: q.Token, Grant: g, Holder: string(v.Elems[3].Str)}
}

func itoa(n int64) []byte { return strconv.AppendInt(nil, n, 10) }

// look finds out where the token stands.
func (l *lockRequest) look(ctx context.Context) (over, sure bool) {
	rctx, cancel := context.WithTimeout(ctx, l.c.cfg.RequestTimeout)
	defer cancel()
	q := queries.Place(l.req.Name, l.req.Token)
	if _, err := l.shard.Read(rctx, command.ReadOptions{}, q.Query()); err != nil {
		return false, false
	}
	at, g, err := queries.PlaceIn(q.Reply)
	switch {
	case err != nil: // such as that the slot is elsewhere
		return false, false
	case at == lock.Queued:
		return false, true
	case at == lock.Granted:
		return l.ends(l.granted(g)), true
	}
	return l.ends(LockResult{}), true
}

func (l *lockRequest) granted(g lock.Grant) LockResult {
	return LockResult{Got: true, Token: l.req.Token, Grant: g}
}

// ends keeps the result: the wait is over.
func (l *lockRequest) ends(result LockResult) (over bool) {
	l.result = result
	return true
}

// heard judges an event of the token.
func (l *lockRequest) heard(ctx context.Context, told wait.Event) (over bool) {
	e, _ := told.What.(lock.Event)
	switch {
	case e.Kind == lock.EventGranted:
		l.client.Wrote(told.Index) // unknown, 0, when another node told of it
		return l.ends(l.granted(lock.Grant{Fence: e.Fence, ExpiresAt: e.ExpiresAt}))
	case e.Kind == lock.EventWaiterGone && e.Reason == lock.NodeGone:
		return l.ends(LockResult{Err: errLostPlace})
	case e.Kind == lock.EventWaiterGone && e.Reason == lock.Cancelled && l.once != "":
		return l.again(ctx)
	case e.Kind == lock.EventWaiterGone:
		return l.ends(LockResult{})
	}
	return l.lookAgain(ctx, l)
}

// again takes a new place for the rest of the wait: the place was that of an
// earlier try of the same client, whose node saw it leave.
func (l *lockRequest) again(ctx context.Context) (over bool) {
	if l.req.WaitMillis = time.Until(l.until).Milliseconds(); l.req.WaitMillis <= 0 {
		return l.ends(LockResult{})
	}
	status, result := l.ask(ctx, l.once)
	if status == locks.Queued {
		return false
	}
	return l.ends(result)
}

// unlessGone lets a grant for a client that vanished since it was last looked at
// go to the next one now, not when its time is over.
func (l *lockRequest) unlessGone(ctx context.Context, result LockResult) LockResult {
	if result.Got && (ctx.Err() != nil || l.client.Gone()) {
		return l.left()
	}
	return result
}

// left is the result for a client that is gone.
func (l *lockRequest) left() LockResult {
	l.undo(nil)
	l.client.HangUp()
	return LockResult{Err: errClientGone}
}

// stopped ends the wait because the node stops.
func (l *lockRequest) stopped(ctx context.Context) LockResult {
	if l.once == "" {
		l.undo(nil)
		return LockResult{Err: errStopping}
	}
	result := l.giveUp(ctx)
	if !result.Got && !result.Err.IsError() {
		result.Err = errStopping
	}
	return result
}

// giveUp ends the wait in the log, which may have granted the lock by now.
func (l *lockRequest) giveUp(ctx context.Context) LockResult {
	v, doubt := l.propose(ctx, l.cancelArgs(), nil)
	switch {
	case doubt || v.Kind == resp.KindError:
		// It was logged before that the token waits: whether it holds the lock
		// by now is not known.
		l.undo(nil)
		return LockResult{Err: request.CodeInDoubt.Reply("the lock's shard does not answer; if the lock was granted it is released, or ends with its ttl")}
	case v.IsNil():
		return LockResult{}
	}
	return l.granted(lock.Grant{Fence: uint64(v.Elems[0].Int), ExpiresAt: v.Elems[1].Int})
}

// undo has the request removed, and the lock released should it have been granted, as long
// as the lock's time is not over in any case; see takeBack.
//
// A grant under an idempotency id stays: the client may have asked again, through
// another node, and been told that it holds the lock.
func (l *lockRequest) undo(pending <-chan bool) {
	args := l.cancelArgs()
	if l.once == "" {
		args = append(args, []byte("RELEASE"))
	}
	l.takeBack(args, time.Duration(l.req.WaitMillis+l.req.TTLMillis)*time.Millisecond+l.c.cfg.RequestTimeout, pending)
}

// cancelArgs ends the wait. The id is forgotten with it: the client can queue
// again under it.
func (l *lockRequest) cancelArgs() command.Args {
	args := command.Args{[]byte("LS.LOCKCANCEL"), []byte(l.req.Name), []byte(l.req.Token)}
	if l.once != "" {
		args = append(args, []byte("FORGET"), []byte(l.once))
	}
	return args
}
