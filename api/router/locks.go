package router

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
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
	r       *Router
	s       *Session
	shard   Shard
	req     lock.Request
	once    string
	outcome <-chan lock.Event
	until   time.Time // the end of the wait
}

// Lock takes a lock, waiting for it as long as req says. once is an idempotency
// id or "". The token is made here; an id determines it, so that a retry finds
// the grant, or the place in the queue, of the first try.
func (r *Router) Lock(ctx context.Context, s *Session, req lock.Request, once string) LockResult {
	sh, refused := r.shardOfLock(s, req.Name)
	if refused.Kind == resp.KindError {
		return LockResult{Err: refused}
	}
	req.Token = newToken(once, req.Name)
	req.Node, req.Boot = sh.Origin()
	outcome, stop := sh.ExpectGrant(req.Token)
	defer stop()
	l := &lockRequest{r: r, s: s, shard: sh, req: req, once: once, outcome: outcome}
	l.until = time.Now().Add(time.Duration(req.WaitMillis) * time.Millisecond)
	status, result := l.ask(ctx, once)
	if status == command.LockQueued && once != "" {
		status, result = l.look(ctx) // the answer may be that of the first try
	}
	if status != command.LockQueued {
		return result
	}
	return l.wait(ctx)
}

// shardOfLock routes a lock by its name, as a key is.
func (r *Router) shardOfLock(s *Session, name string) (Shard, resp.Value) {
	if !r.sharded {
		return r.shards[0], resp.Value{}
	}
	t := r.onSlot(s, int(store.Slot([]byte(name))), false)
	return r.shards[t.shard], t.refuse
}

func newToken(once, name string) string {
	var raw [16]byte
	if once == "" {
		_, _ = rand.Read(raw[:]) // crypto/rand never fails
	} else {
		sum := sha256.Sum256([]byte("lockstep token\x00" + once + "\x00" + name))
		copy(raw[:], sum[:])
	}
	return hex.EncodeToString(raw[:])
}

// ask logs the request, under an idempotency id or none. A status other than
// LockQueued comes with the result.
func (l *lockRequest) ask(ctx context.Context, once string) (status int64, result LockResult) {
	q := &l.req
	args := command.Args{
		[]byte("LS.LOCK"), []byte(q.Name), []byte(q.Token), itoa(q.TTLMillis), itoa(q.WaitMillis),
		[]byte(q.Owner), []byte(q.Node), strconv.AppendUint(nil, q.Boot, 10),
	}
	if once != "" {
		args = append(command.Args{[]byte("ONCE"), []byte(once)}, args...)
	}
	v, doubt := l.propose(ctx, args)
	switch {
	case doubt:
		if once == "" { // else the client asks again, and finds its grant or its place
			l.takeBack(ctx)
		}
		return command.LockHeld, LockResult{Err: v}
	case v.Kind == resp.KindError:
		return command.LockHeld, LockResult{Err: v}
	case len(v.Elems) < 4:
		return command.LockHeld, LockResult{Err: resp.Err("INDOUBT the shard's answer makes no sense")}
	}
	g := lock.Grant{Fence: uint64(v.Elems[1].Int), ExpiresAt: v.Elems[2].Int}
	status = v.Elems[0].Int
	return status, LockResult{Got: status == command.LockGranted, Token: q.Token, Grant: g, Holder: string(v.Elems[3].Str)}
}

func itoa(n int64) []byte { return strconv.AppendInt(nil, n, 10) }

// propose runs one command; doubt tells that it may still take effect.
func (l *lockRequest) propose(ctx context.Context, args command.Args) (v resp.Value, doubt bool) {
	ctx, cancel := context.WithTimeout(ctx, l.r.cfg.RequestTimeout)
	defer cancel()
	var b command.Batch
	b.Add(args)
	replies, err := l.shard.Propose(ctx, b)
	switch {
	case err != nil:
		v = writeError(err)
		return v, resp.Error(v.Str).Code() == "INDOUBT"
	case len(replies) != 1:
		return resp.Err("INDOUBT the shard returned the wrong number of replies"), true
	}
	return replies[0], false
}

// look finds out where the token stands.
func (l *lockRequest) look(ctx context.Context) (status int64, result LockResult) {
	ctx, cancel := context.WithTimeout(ctx, l.r.cfg.RequestTimeout)
	defer cancel()
	var at lock.Status
	var g lock.Grant
	_, err := l.shard.Read(ctx, command.ReadOptions{}, func(c *command.Ctx) {
		if c.Locks != nil {
			at, g = c.Locks.Stands(l.req.Name, l.req.Token)
		}
	})
	switch {
	case err != nil:
		return command.LockHeld, LockResult{Err: readError(err)}
	case at == lock.Granted:
		return command.LockGranted, l.granted(g)
	case at == lock.Queued:
		return command.LockQueued, LockResult{}
	}
	return command.LockHeld, LockResult{}
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
				return l.clientGone(ctx)
			}
		case <-l.r.stopping:
			return l.stop(ctx)
		case <-ctx.Done():
			return l.clientGone(ctx)
		}
	}
}

var (
	errClientGone = resp.Err("TRYAGAIN the client is gone")
	errStopping   = resp.Err("TRYAGAIN this node is stopping, nothing was granted")
)

func (l *lockRequest) clientGone(ctx context.Context) LockResult {
	l.takeBack(ctx)
	if l.s.gone != nil {
		l.s.killed()
	}
	return LockResult{Err: errClientGone}
}

// unlessGone lets a grant for a client that vanished since it was last looked at
// go to the next one now, not when its time is over.
func (l *lockRequest) unlessGone(ctx context.Context, result LockResult) LockResult {
	if result.Got && (ctx.Err() != nil || l.s.gone != nil && l.s.gone()) {
		return l.clientGone(ctx)
	}
	return result
}

// stop ends the wait because the node stops.
func (l *lockRequest) stop(ctx context.Context) LockResult {
	if l.once == "" {
		l.takeBack(ctx)
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
		return l.granted(lock.Grant{Fence: e.Fence, ExpiresAt: e.ExpiresAt}), true
	case e.Kind == lock.EventWaiterGone && e.Reason == lock.NodeGone:
		return LockResult{Err: errLostPlace}, true
	case e.Kind == lock.EventWaiterGone && e.Reason == lock.Cancelled && l.once != "":
		return l.again(ctx)
	case e.Kind == lock.EventWaiterGone:
		return LockResult{}, true
	}
	status, result := l.look(ctx) // events may have been missed
	return result, status != command.LockQueued
}

// again takes a new place for the rest of the wait: the place was that of an
// earlier try of the same client, whose node saw it leave.
func (l *lockRequest) again(ctx context.Context) (result LockResult, done bool) {
	if l.req.WaitMillis = time.Until(l.until).Milliseconds(); l.req.WaitMillis <= 0 {
		return LockResult{}, true
	}
	status, result := l.ask(ctx, "")
	return result, status != command.LockQueued
}

// giveUp ends the wait in the log, which may have granted the lock by now.
func (l *lockRequest) giveUp(ctx context.Context) LockResult {
	v, doubt := l.propose(ctx, command.Args{[]byte("LS.LOCKCANCEL"), []byte(l.req.Name), []byte(l.req.Token)})
	switch {
	case doubt || v.Kind == resp.KindError:
		// It was logged before that the token waits: whether it holds the lock
		// by now is not known.
		l.takeBack(ctx)
		return LockResult{Err: resp.Err("INDOUBT the lock's shard does not answer; if the lock was granted it is released, or ends with its ttl")}
	case v.IsNil():
		return LockResult{}
	}
	return l.granted(lock.Grant{Fence: uint64(v.Elems[0].Int), ExpiresAt: v.Elems[1].Int})
}

// takeBack has the request removed, and the lock released should it have been
// granted, for a client that will not hear of it. It does not wait for that: if
// it fails, the wait's deadline and the lock's time end it.
//
// A grant under an idempotency id stays: the client may have asked again, through
// another node, and been told that it holds the lock.
func (l *lockRequest) takeBack(ctx context.Context) {
	args := command.Args{[]byte("LS.LOCKCANCEL"), []byte(l.req.Name), []byte(l.req.Token)}
	if l.once == "" {
		args = append(args, []byte("RELEASE"))
	}
	l.r.background.Go(func() { _, _ = l.propose(context.WithoutCancel(ctx), args) })
}

// LockEvents follows a lock's grants and losses as this node learns of them; see
// Shard.WatchLock.
func (r *Router) LockEvents(name string) (events <-chan lock.Event, stop func()) {
	return r.shards[r.slots[store.Slot([]byte(name))]].WatchLock(name)
}
