package router

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"strconv"
	"time"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/fsm/lock"
	"github.com/lockstepkv/lockstep/resp"
	"github.com/lockstepkv/lockstep/store"
)

var errLostPlace = resp.Err("TRYAGAIN this node was out of the shard leader's reach and lost the place in the lock's queue, nothing was granted")

const (
	// waitGrace is how long after the end of a wait the log's word for it is
	// waited for before the request is taken back.
	waitGrace = 100 * time.Millisecond
	// gonePoll is how often a waiting client is checked to be still there.
	gonePoll = 250 * time.Millisecond
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

// doLock is LOCK.
func doLock(r *Router, ctx context.Context, s *Session, args command.Args) resp.Value {
	req, err := command.ParseLock(args)
	if err != nil {
		return resp.Err(err.Error())
	}
	return r.Lock(ctx, s, req, "").reply()
}

// doOnceLock is ONCE id LOCK. The table has the rules for ids, and applies them
// to the command that is logged in its place.
func doOnceLock(r *Router, ctx context.Context, s *Session, args command.Args) resp.Value {
	if len(args) < 5 {
		return errArity("lock")
	}
	req, err := command.ParseLock(args[2:])
	if err != nil {
		return resp.Err(err.Error())
	}
	if len(args[1]) == 0 {
		return resp.Err("ERR idempotency id must have 1 to 256 bytes")
	}
	return r.Lock(ctx, s, req, string(args[1])).reply()
}

// isOnceLock recognizes ONCE id LOCK ..., which waits like LOCK.
func (r *Router) isOnceLock(p *plan, args command.Args) bool {
	if p.name != "once" || len(args) < 3 {
		return false
	}
	inner := lookup(r.plans, args[2])
	return inner != nil && inner.name == "lock"
}

func (l LockResult) reply() resp.Value {
	switch {
	case l.Err.Kind == resp.KindError:
		return l.Err
	case !l.Got:
		return resp.NilArray
	}
	return resp.Array(resp.BulkString(l.Token), resp.Int(int64(l.Fence)))
}

// lockRequest is a request on its way.
type lockRequest struct {
	r     *Router
	s     *Session
	shard Shard
	req   lock.Request
	once  string
	until time.Time // the end of the wait

	outcome       <-chan lock.Event
	stopExpecting func()
	unsure        bool // where the token stands could not be found out
}

// Lock takes a lock, waiting for it as long as req says. once is an idempotency
// id or "". The token is made here. The record of an id keeps that of the first
// try, so that a retry finds the grant, or the place in the queue.
func (r *Router) Lock(ctx context.Context, s *Session, req lock.Request, once string) LockResult {
	if v, no := r.refuses(); no {
		return LockResult{Err: v}
	}
	sh, refused := r.shardOfLock(s, req.Name)
	if refused.Kind == resp.KindError {
		return LockResult{Err: refused}
	}
	req.Token = newToken()
	req.Node, req.Boot = sh.Origin()
	l := &lockRequest{r: r, s: s, shard: sh, req: req, once: once}
	l.until = time.Now().Add(time.Duration(req.WaitMillis) * time.Millisecond)
	l.expect(req.Token)
	defer func() { l.stopExpecting() }()
	status, result := l.ask(ctx, once)
	if status != command.LockQueued {
		return result
	}
	if once != "" {
		// The answer may be that of the first try, and old.
		if result, done := l.lookAgain(ctx); done {
			return result
		}
	}
	return l.wait(ctx)
}

// expect listens for what becomes of a token.
func (l *lockRequest) expect(token string) {
	l.req.Token = token
	l.outcome, l.stopExpecting = l.shard.ExpectGrant(token)
}

// shardOfLock routes a lock by its name, as a key is.
func (r *Router) shardOfLock(s *Session, name string) (Shard, resp.Value) {
	if !r.sharded {
		return r.shards[0], resp.Value{}
	}
	t := r.onSlot(s, int(store.Slot([]byte(name))), false)
	return r.shards[t.shard], t.refuse
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
			l.takeBack(late)
		}
		return command.LockHeld, LockResult{Err: v}
	case v.Kind == resp.KindError:
		return command.LockHeld, LockResult{Err: v}
	case len(v.Elems) < 5:
		return command.LockHeld, LockResult{Err: resp.Err("INDOUBT the shard's answer makes no sense")}
	}
	if first := string(v.Elems[4].Str); first != q.Token { // that of the first try
		l.stopExpecting()
		l.expect(first)
	}
	g := lock.Grant{Fence: uint64(v.Elems[1].Int), ExpiresAt: v.Elems[2].Int}
	status = v.Elems[0].Int
	return status, LockResult{Got: status == command.LockGranted, Token: q.Token, Grant: g, Holder: string(v.Elems[3].Str)}
}

func itoa(n int64) []byte { return strconv.AppendInt(nil, n, 10) }

// propose runs one command; doubt tells that it may still take effect, which late
// is then told: see command.Batch.
func (l *lockRequest) propose(ctx context.Context, args command.Args, late func([]resp.Value, error)) (v resp.Value, doubt bool) {
	ctx, cancel := context.WithTimeout(ctx, l.r.cfg.RequestTimeout)
	defer cancel()
	var index uint64
	b := command.Batch{Late: late, Index: &index}
	b.AddOwned(l.s.owner(), args)
	replies, err := l.shard.Propose(ctx, b)
	l.s.noteWrite(index)
	switch {
	case err != nil && string(args[0]) == "ONCE":
		v = l.r.failOnce(ctx, l.s, l.shard, args, err)
		return v, resp.Error(v.Str).Code() == "INDOUBT"
	case err != nil:
		v = writeError(err)
		countNoRoom(l.shard, err)
		return v, resp.Error(v.Str).Code() == "INDOUBT"
	case len(replies) != 1:
		return resp.Err("INDOUBT the shard returned the wrong number of replies"), true
	}
	return replies[0], false
}

// lookAgain finds out where the token stands when events may have been missed,
// and reports whether the wait is over.
func (l *lockRequest) lookAgain(ctx context.Context) (result LockResult, done bool) {
	rctx, cancel := context.WithTimeout(ctx, l.r.cfg.RequestTimeout)
	defer cancel()
	var at lock.Status
	var g lock.Grant
	_, err := l.shard.Read(rctx, command.ReadOptions{}, func(c *command.Ctx) {
		if c.Locks != nil {
			at, g = c.Locks.Stands(l.req.Name, l.req.Token)
		}
	})
	switch l.unsure = err != nil; {
	case err != nil || at == lock.Queued:
		return LockResult{}, false
	case at == lock.Granted:
		return l.granted(g), true
	}
	return LockResult{}, true
}

func (l *lockRequest) granted(g lock.Grant) LockResult {
	return LockResult{Got: true, Token: l.req.Token, Grant: g}
}

// wait waits for the lock.
func (l *lockRequest) wait(ctx context.Context) LockResult {
	over := time.NewTimer(time.Until(l.until) + waitGrace)
	defer over.Stop()
	poll := time.NewTicker(gonePoll)
	defer poll.Stop()
	for {
		select {
		case e := <-l.outcome:
			if result, done := l.ended(ctx, e); done {
				return l.unlessGone(ctx, result)
			}
		case <-over.C:
			return l.giveUp(ctx)
		case <-poll.C:
			if l.s.gone != nil && l.s.gone() {
				return l.clientGone()
			}
			if l.unsure {
				if result, done := l.lookAgain(ctx); done {
					return l.unlessGone(ctx, result)
				}
			}
		case <-l.r.stopping:
			return l.stop(ctx)
		case <-ctx.Done():
			return l.clientGone()
		}
	}
}

var (
	errClientGone = resp.Err("TRYAGAIN the client is gone")
	errStopping   = resp.Err("TRYAGAIN this node is stopping, nothing was granted")
)

func (l *lockRequest) clientGone() LockResult {
	l.takeBack(nil)
	if l.s.gone != nil {
		l.s.killed()
	}
	return LockResult{Err: errClientGone}
}

// unlessGone lets a grant for a client that vanished since it was last looked at
// go to the next one now, not when its time is over.
func (l *lockRequest) unlessGone(ctx context.Context, result LockResult) LockResult {
	if result.Got && (ctx.Err() != nil || l.s.gone != nil && l.s.gone()) {
		return l.clientGone()
	}
	return result
}

// stop ends the wait because the node stops.
func (l *lockRequest) stop(ctx context.Context) LockResult {
	if l.once == "" {
		l.takeBack(nil)
		return LockResult{Err: errStopping}
	}
	result := l.giveUp(ctx)
	if !result.Got && !result.Err.IsError() {
		result.Err = errStopping
	}
	return result
}

// ended judges an event of the token.
func (l *lockRequest) ended(ctx context.Context, e lock.Event) (LockResult, bool) {
	switch {
	case e.Kind == lock.EventGranted:
		l.s.noteWrite(e.Index) // unknown, 0, when another node told of it
		return l.granted(lock.Grant{Fence: e.Fence, ExpiresAt: e.ExpiresAt}), true
	case e.Kind == lock.EventWaiterGone && e.Reason == lock.NodeGone:
		return LockResult{Err: errLostPlace}, true
	case e.Kind == lock.EventWaiterGone && e.Reason == lock.Cancelled && l.once != "":
		return l.again(ctx)
	case e.Kind == lock.EventWaiterGone:
		return LockResult{}, true
	}
	return l.lookAgain(ctx)
}

// again takes a new place for the rest of the wait: the place was that of an
// earlier try of the same client, whose node saw it leave.
func (l *lockRequest) again(ctx context.Context) (result LockResult, done bool) {
	if l.req.WaitMillis = time.Until(l.until).Milliseconds(); l.req.WaitMillis <= 0 {
		return LockResult{}, true
	}
	status, result := l.ask(ctx, l.once)
	return result, status != command.LockQueued
}

// giveUp ends the wait in the log, which may have granted the lock by now.
func (l *lockRequest) giveUp(ctx context.Context) LockResult {
	v, doubt := l.propose(ctx, l.cancelArgs(), nil)
	switch {
	case doubt || v.Kind == resp.KindError:
		// It was logged before that the token waits: whether it holds the lock
		// by now is not known.
		l.takeBack(nil)
		return LockResult{Err: resp.Err("INDOUBT the lock's shard does not answer; if the lock was granted it is released, or ends with its ttl")}
	case v.IsNil():
		return LockResult{}
	}
	return l.granted(lock.Grant{Fence: uint64(v.Elems[0].Int), ExpiresAt: v.Elems[1].Int})
}

// takeBackPause is how long a shard without a leader is left alone.
const takeBackPause = 250 * time.Millisecond

// takeBack has the request removed, and the lock released should it have been
// granted, for a client that will not hear of it. It goes on in the background
// until the shard has done so, this node stops, or the lock's time is over in any
// case. pending, unless nil, tells when the request itself has been logged (true)
// or never will be; before that there would be nothing to remove.
//
// A grant under an idempotency id stays: the client may have asked again, through
// another node, and been told that it holds the lock.
func (l *lockRequest) takeBack(pending <-chan bool) {
	args := l.cancelArgs()
	if l.once == "" {
		args = append(args, []byte("RELEASE"))
	}
	l.r.background.Go(func() {
		if pending != nil {
			select {
			case logged := <-pending:
				if !logged {
					return
				}
			case <-l.r.stopping:
				return
			}
		}
		l.cancel(args, time.Duration(l.req.WaitMillis+l.req.TTLMillis)*time.Millisecond+l.r.cfg.RequestTimeout)
	})
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

// cancel proposes until the shard takes it, this node stops, or patience is over.
func (l *lockRequest) cancel(args command.Args, patience time.Duration) {
	over := time.NewTimer(patience)
	defer over.Stop()
	for {
		// In doubt means that it will be logged, for the node sends it again.
		v, doubt := l.propose(context.Background(), args, nil)
		if doubt || !v.IsError() {
			return
		}
		select {
		case <-time.After(takeBackPause):
		case <-over.C:
			return
		case <-l.r.stopping:
			return
		}
	}
}

// LockEvents follows a lock's grants and losses as this node learns of them; see
// Shard.WatchLock.
func (r *Router) LockEvents(name string) (events <-chan lock.Event, stop func()) {
	return r.shards[r.slots[store.Slot([]byte(name))]].WatchLock(name)
}
