package httpapi

import (
	"math"
	"net/http"
	"strconv"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/fsm/command/locks"
	"github.com/lockstepkv/lockstep/fsm/lock"
	"github.com/lockstepkv/lockstep/resp"
)

// listLocks is GET /v1/locks: a page of locks that are held, all of one state of one
// shard, or their number.
func (a *api) listLocks(w http.ResponseWriter, r *http.Request) {
	a.list(w, r, pageOf{name: "locks", parameters: []string{"count"}, args: lockListArgs, item: listedLock})
}

// lockListArgs is the command for a page, or for the number of locks.
func lockListArgs(q map[string]string) (command.Args, error) {
	_, paged := q[paramCursor]
	_, limited := q["limit"]
	switch q["count"] {
	case "", "0", "false":
	case "1", "true":
		if paged || limited {
			return nil, badParameter("count", "without limit and cursor")
		}
		return command.Args{[]byte("LS.LOCKCOUNT"), []byte(q[paramPrefix])}, nil
	default:
		return nil, badParameter("count", "true or false")
	}
	limit, err := pageLimit(q, locks.MaxListed)
	if err != nil {
		return nil, err
	}
	return command.Args{[]byte("LS.LOCKS"), []byte(cursorOf(q)), []byte("COUNT"), []byte(limit), []byte("PREFIX"), []byte(q[paramPrefix])}, nil
}

// listedLock is a lock of a page, in the form of GET /v1/locks/{name}.
func listedLock(e []resp.Value) map[string]any {
	out := map[string]any{"held": true, "fence": e[2].Int, "ttl_ms": e[3].Int, "expires_at_ms": e[4].Int, "waiters": e[5].Int}
	putText(out, "name", e[0].Str)
	putText(out, "owner", e[1].Str)
	return out
}

// forcedRelease says which lock an operator wants released, and why.
type forcedRelease struct {
	name   []byte
	fence  uint64 // 0: whatever it is held with
	reason string
	once   string
}

func decodeForcedRelease(r *http.Request) (f forcedRelease, err error) {
	q, err := query(r.URL, "force", "reason", "fence")
	if err != nil {
		return f, err
	}
	if f.name, err = pathKey(r); err != nil {
		return f, err
	}
	if f.once, _, err = idempotencyKey(r, maxIdempotencyKey); err != nil {
		return f, err
	}
	fence, one := q["fence"]
	if one {
		if f.fence, err = strconv.ParseUint(fence, 10, 64); err != nil || f.fence == 0 || f.fence > math.MaxInt64 {
			return f, badParameter("fence", "that of the grant to end")
		}
	}
	f.reason = q["reason"]
	switch {
	case q["force"] != "true" && q["force"] != "1":
		return f, badParameter("force", "true, or left away for a release with the holder's token")
	case len(f.name) == 0 || len(f.name) > lock.MaxNameBytes:
		return f, badRequest("bad_lock_name", lock.ErrName.Error())
	case !locks.ValidReason(f.reason):
		return f, badRequest("bad_reason", "a forced release needs a reason: one line of 1 to "+strconv.Itoa(locks.MaxReasonBytes)+" bytes")
	case r.ContentLength != 0:
		return f, badRequest("unexpected_body", "a forced release takes no token and no body")
	}
	return f, nil
}

// forceRelease is DELETE /v1/locks/{name}?force=true: an operator ends a grant that is
// not his. The log of this node says so.
func (a *api) forceRelease(w http.ResponseWriter, r *http.Request) {
	f, err := decodeForcedRelease(r)
	if err != nil {
		failWith(w, err)
		return
	}
	s := a.session(r)
	v := a.router.BreakLock(r.Context(), s, f.name, f.fence, f.reason, f.once)
	log := a.log.With("lock", string(f.name), "reason", f.reason, "client", r.RemoteAddr)
	switch {
	case v.IsError():
		p := problemOf(v)
		log.Warn("the forced release of a lock failed", "outcome", p.complete().Outcome, "error", p.Detail)
		fail(w, p)
	case v.IsNil():
		tellIndex(w, s)
		detail := "nobody holds the lock"
		if f.fence != 0 {
			detail = "the lock is not held with this fence"
		}
		fail(w, problem{Status: http.StatusConflict, Code: "lock_not_held", Detail: detail})
	default:
		tellIndex(w, s)
		owner, fence, waiters := v.Elems[0].Str, v.Elems[1].Int, v.Elems[2].Int
		log.Warn("a lock was released by force", "holder", string(owner), "fence", fence, "waiters", waiters)
		out := map[string]any{"released": true, "fence": fence, "waiters": waiters}
		putText(out, "name", f.name)
		putText(out, "owner", owner)
		reply(w, http.StatusOK, out)
	}
}
