package httpapi

import (
	"encoding/json"
	"net/http"
	"strconv"
	"unicode/utf8"

	"github.com/lockstepkv/lockstep/api/router"
	"github.com/lockstepkv/lockstep/api/waiting"
	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/fsm/lock"
	"github.com/lockstepkv/lockstep/resp"
)

// heldProblem is the problem of a lock that was not got: it names the holder.
type heldProblem struct {
	problem
	Holder    string `json:"holder"`
	Fence     uint64 `json:"fence"`
	ExpiresAt int64  `json:"expires_at_ms"`
}

// lockName returns the lock's name in the path.
func lockName(r *http.Request) (string, error) {
	name, err := pathKey(r)
	if err != nil {
		return "", err
	}
	if len(name) == 0 || len(name) > lock.MaxNameBytes || !utf8.Valid(name) {
		return "", badRequest("bad_lock_name", "the name of a lock must have 1 to "+strconv.Itoa(lock.MaxNameBytes)+" bytes, in UTF-8")
	}
	return string(name), nil
}

// lockRequest is the body of a call on a lock. Nil fields were not there.
type lockRequest struct {
	ttlMillis, waitMillis *int64
	owner, token          *string
}

// decodeLock reads a body with the given fields.
func (a *api) decodeLock(w http.ResponseWriter, r *http.Request, known ...string) (q lockRequest, err error) {
	if err := noQuery(r.URL); err != nil {
		return q, err
	}
	body, held, err := a.readJSON(w, r)
	if err != nil {
		return q, err
	}
	defer held.release()
	f, err := fields(body)
	if err != nil {
		return q, err
	}
	into := map[string]func(json.RawMessage) error{
		"ttl_ms":  func(v json.RawMessage) error { q.ttlMillis = new(int64); return decode("ttl_ms", v, q.ttlMillis) },
		"wait_ms": func(v json.RawMessage) error { q.waitMillis = new(int64); return decode("wait_ms", v, q.waitMillis) },
		"owner":   func(v json.RawMessage) error { q.owner = new(string); return decode("owner", v, q.owner) },
		"token":   func(v json.RawMessage) error { q.token = new(string); return decode("token", v, q.token) },
	}
	taken := 0
	for _, name := range known {
		v, there := f[name]
		if !there {
			continue
		}
		taken++
		if err := into[name](v); err != nil {
			return q, err
		}
	}
	if taken < len(f) {
		for name := range f {
			if !contains(known, name) {
				return q, unknownField(name)
			}
		}
	}
	return q, q.check(known)
}

func contains(list []string, s string) bool {
	for _, e := range list {
		if e == s {
			return true
		}
	}
	return false
}

// check refuses what is missing or out of bounds.
func (q *lockRequest) check(known []string) error {
	if contains(known, "ttl_ms") {
		if q.ttlMillis == nil {
			return missingField("ttl_ms")
		}
		if err := lock.ValidateTTL(*q.ttlMillis); err != nil {
			return badRequest("bad_ttl", err.Error())
		}
	}
	if contains(known, "token") && q.token == nil {
		return missingField("token")
	}
	if q.waitMillis != nil && (*q.waitMillis < 0 || *q.waitMillis > lock.MaxWaitMillis) {
		return badRequest("bad_wait", lock.ErrWait.Error())
	}
	if q.owner != nil && len(*q.owner) > lock.MaxOwnerBytes {
		return badRequest("bad_owner", lock.ErrOwner.Error())
	}
	return nil
}

func missingField(name string) error {
	return badRequest("missing_field", "the body must have the field "+strconv.Quote(name))
}

// acquireLock is POST /v1/locks/{name}.
func (a *api) acquireLock(w http.ResponseWriter, r *http.Request) {
	name, err := lockName(r)
	if err != nil {
		failWith(w, err)
		return
	}
	q, err := a.decodeLock(w, r, "ttl_ms", "wait_ms", "owner")
	if err != nil {
		failWith(w, err)
		return
	}
	id, _, err := idempotencyKey(r, maxIdempotencyKey)
	if err != nil {
		failWith(w, err)
		return
	}
	req := lock.Request{Name: name, TTLMillis: *q.ttlMillis}
	if q.waitMillis != nil {
		req.WaitMillis = *q.waitMillis
	}
	if q.owner != nil {
		req.Owner = *q.owner
	}
	s := a.session(r)
	got := a.router.Lock(r.Context(), s, req, id)
	tellIndex(w, s)
	switch {
	case got.Err.IsError():
		fail(w, problemOf(got.Err))
	case !got.Got:
		a.failHeld(w, r, s, name, got)
	default:
		reply(w, http.StatusOK, map[string]any{
			"name": name, "owner": req.Owner, "token": got.Token, "fence": got.Fence, "expires_at_ms": got.ExpiresAt,
		})
	}
}

// failHeld says who holds the lock. After a wait that is asked anew, and may not
// be known.
func (a *api) failHeld(w http.ResponseWriter, r *http.Request, s *router.Session, name string, got waiting.LockResult) {
	p := heldProblem{
		problem: problem{Status: http.StatusConflict, Code: "lock_held", Detail: "the lock is held by somebody else"},
		Holder:  got.Holder, Fence: got.Fence, ExpiresAt: got.ExpiresAt,
	}
	if got.Fence == 0 {
		p.Detail = "the lock was not free within the time to wait"
		if info := a.router.Do(r.Context(), s, command.Args{[]byte("LOCKINFO"), []byte(name)}); !info.IsError() {
			m := mapOf(info)
			p.Holder, p.Fence, p.ExpiresAt = string(m["owner"].Str), uint64(m["fence"].Int), m["expires_at_ms"].Int
		}
	}
	p.problem = p.problem.complete()
	failBody(w, p.problem, p)
}

// mapOf is a map reply by its keys.
func mapOf(v resp.Value) map[string]resp.Value {
	m := make(map[string]resp.Value, len(v.Elems)/2)
	for i := 0; i+1 < len(v.Elems); i += 2 {
		m[string(v.Elems[i].Str)] = v.Elems[i+1]
	}
	return m
}

// renewLock is PUT /v1/locks/{name}.
func (a *api) renewLock(w http.ResponseWriter, r *http.Request) {
	name, err := lockName(r)
	if err != nil {
		failWith(w, err)
		return
	}
	q, err := a.decodeLock(w, r, "token", "ttl_ms")
	if err != nil {
		failWith(w, err)
		return
	}
	v, err := a.mutate(w, r, command.Args{[]byte("LS.LOCKRENEW"), []byte(name), []byte(*q.token), itoa(*q.ttlMillis)})
	switch {
	case err != nil:
		failWith(w, err)
	case v.IsNil():
		fail(w, lockLost())
	default:
		reply(w, http.StatusOK, map[string]any{"name": name, "fence": v.Elems[0].Int, "expires_at_ms": v.Elems[1].Int})
	}
}

func lockLost() problem {
	return problem{Status: http.StatusConflict, Code: "lock_lost", Detail: "the lock is not held with this token"}
}

// releaseLock is DELETE /v1/locks/{name}.
func (a *api) releaseLock(w http.ResponseWriter, r *http.Request) {
	if r.URL.RawQuery != "" {
		a.forceRelease(w, r)
		return
	}
	name, err := lockName(r)
	if err != nil {
		failWith(w, err)
		return
	}
	q, err := a.decodeLock(w, r, "token")
	if err != nil {
		failWith(w, err)
		return
	}
	v, err := a.mutate(w, r, command.Args{[]byte("UNLOCK"), []byte(name), []byte(*q.token)})
	switch {
	case err != nil:
		failWith(w, err)
	case v.Int == 0:
		fail(w, lockLost())
	default:
		reply(w, http.StatusOK, map[string]any{"name": name, "released": true})
	}
}

// readLock is GET /v1/locks/{name}, with watch=1 as a stream of events.
func (a *api) readLock(w http.ResponseWriter, r *http.Request) {
	name, err := lockName(r)
	if err != nil {
		failWith(w, err)
		return
	}
	q, err := query(r.URL, "watch")
	if err != nil {
		failWith(w, err)
		return
	}
	switch q["watch"] {
	case "", "0", "false":
	case "1", "true":
		a.watchLock(w, r, name)
		return
	default:
		failWith(w, badParameter("watch", "1 or 0"))
		return
	}
	state, _, err := a.lockState(r, name)
	if err != nil {
		failWith(w, err)
		return
	}
	reply(w, http.StatusOK, state)
}

// lockState reads a lock; index is the log index it was read at.
func (a *api) lockState(r *http.Request, name string) (state map[string]any, index uint64, err error) {
	s := a.session(r)
	v := a.router.Do(r.Context(), s, command.Args{[]byte("LOCKINFO"), []byte(name)})
	if v.IsError() {
		return nil, 0, problemOf(v)
	}
	m := mapOf(v)
	state = map[string]any{"name": name, "held": m["held"].Int != 0, "waiters": m["waiters"].Int}
	if m["held"].Int != 0 {
		state["owner"], state["fence"] = string(m["owner"].Str), m["fence"].Int
		state["expires_at_ms"], state["ttl_ms"] = m["expires_at_ms"].Int, m["ttl_ms"].Int
	}
	return state, s.ReadInfo().Index, nil
}
