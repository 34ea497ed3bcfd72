package httpapi

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/gorilla/mux"

	"github.com/lockstepkv/lockstep/api/request"
	"github.com/lockstepkv/lockstep/api/router"
	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/resp"
)

// maxIdempotencyKey is the longest id that ONCE takes.
const maxIdempotencyKey = 256

// pathKey returns the key in the path, percent-decoded.
func pathKey(r *http.Request) ([]byte, error) {
	key, err := url.PathUnescape(mux.Vars(r)["key"])
	if err != nil {
		return nil, badRequest("bad_key", "the name in the path is not percent-encoded: "+err.Error())
	}
	return []byte(key), nil
}

// indexHeader has the log index that an answer is from.
const indexHeader = "X-Lockstep-Index"

// tellIndex says which index a read must have reached to see what s has written.
func tellIndex(w http.ResponseWriter, s *router.Session) {
	if index := s.WriteIndex(); index > 0 {
		w.Header().Set(indexHeader, strconv.FormatUint(index, 10))
	}
}

// mutate runs a write, under its Idempotency-Key when it has one.
func (a *api) mutate(w http.ResponseWriter, r *http.Request, args command.Args, opts ...router.SessionOption) (resp.Value, error) {
	id, ok, err := idempotencyKey(r, maxIdempotencyKey)
	if err != nil {
		return resp.Value{}, err
	}
	if ok {
		args = append(command.Args{[]byte("ONCE"), []byte(id)}, args...)
	}
	s := a.session(r, opts...)
	v := a.router.Do(r.Context(), s, args)
	if v.IsError() {
		p := problemOf(v)
		if p.Outcome != request.InDoubt {
			tellIndex(w, s)
		}
		return v, p
	}
	tellIndex(w, s)
	return v, nil
}

func idempotencyKey(r *http.Request, longest int) (id string, ok bool, err error) {
	vals := r.Header.Values("Idempotency-Key")
	if len(vals) == 0 {
		return "", false, nil
	}
	if len(vals) > 1 || vals[0] == "" || len(vals[0]) > longest {
		return "", false, badRequest("bad_idempotency_key", "Idempotency-Key must appear once and have 1 to "+strconv.Itoa(longest)+" bytes")
	}
	return vals[0], true, nil
}

func (a *api) getKey(w http.ResponseWriter, r *http.Request) {
	key, err := pathKey(r)
	if err != nil {
		failWith(w, err)
		return
	}
	q, err := query(r.URL, readParameters()...)
	if err != nil {
		failWith(w, err)
		return
	}
	opt, err := readOptions(q)
	if err != nil {
		failWith(w, err)
		return
	}
	match, err := tagsOf(r.Header, "If-Match")
	if err != nil {
		failWith(w, err)
		return
	}
	noneMatch, err := tagsOf(r.Header, "If-None-Match")
	if err != nil {
		failWith(w, err)
		return
	}
	s := a.session(r, router.WithReadOptions(opt))
	v := a.router.Do(r.Context(), s, command.Args{[]byte("LS.GET"), key})
	if v.IsError() {
		fail(w, problemOf(v))
		return
	}
	tellState(w, opt, s.ReadInfo())
	if v.IsNil() {
		fail(w, problem{Status: http.StatusNotFound, Code: "no_such_key", Detail: "there is no such key"})
		return
	}
	if v.Elems[1].IsNil() { // JSON has no form for other types yet
		fail(w, problemOf(resp.ErrorReply(command.ErrWrongType)))
		return
	}
	version := v.Elems[2].Int
	w.Header().Set("ETag", etag(version))
	w.Header().Set("Vary", "Accept")
	switch readPrecondition(match, noneMatch, version) {
	case http.StatusPreconditionFailed:
		fail(w, conditionFailed("the key has version "+strconv.FormatInt(version, 10)))
	case http.StatusNotModified:
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(http.StatusNotModified)
	default:
		defer a.answering(r, v)()
		writeKey(w, r, key, v.Elems)
	}
}

// writeKey answers with the elements of LS.GET: type, value, version, lifetime.
func writeKey(w http.ResponseWriter, r *http.Request, key []byte, elems []resp.Value) {
	of := typeNamed(string(elems[0].Str))
	if wantsRaw(r) {
		if of != nil {
			fail(w, problem{Status: http.StatusNotAcceptable, Code: "no_bytes", Detail: "the key has a " + of.name + ", which is shown as JSON"})
			return
		}
		h := w.Header()
		h.Set("Content-Type", octetStream)
		h.Set("Content-Length", strconv.Itoa(len(elems[1].Str)))
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cache-Control", "no-store")
		h.Set("X-Lockstep-Version", strconv.FormatInt(elems[2].Int, 10))
		if ttl := elems[3].Int; ttl >= 0 {
			h.Set("X-Lockstep-Ttl-Ms", strconv.FormatInt(ttl, 10))
		}
		_, _ = w.Write(elems[1].Str) // a client that is gone needs no answer
		return
	}
	out := keyJSON(key)
	out["type"] = string(elems[0].Str)
	out["version"], out["ttl_ms"] = elems[2].Int, orNull(elems[3].Int, -1)
	if of != nil {
		out["value"] = of.json(elems[1])
	} else {
		putText(out, "value", elems[1].Str)
	}
	reply(w, http.StatusOK, out)
}

func (a *api) deleteKey(w http.ResponseWriter, r *http.Request) {
	key, err := pathKey(r)
	if err != nil {
		failWith(w, err)
		return
	}
	terms, err := a.decodeDelete(w, r)
	if err == nil {
		err = terms.add(r.Header)
	}
	if err != nil {
		failWith(w, err)
		return
	}
	args := command.Args{[]byte("LS.DEL"), key}
	if terms.version != "" {
		args = append(args, []byte("IFVERSION"), []byte(terms.version))
	}
	v, err := a.mutate(w, r, terms.fence.wrap(args))
	if err == nil && terms.present && v.Int == 0 {
		err = conditionFailed("there is no such key")
	}
	if err != nil {
		failWith(w, err)
		return
	}
	reply(w, http.StatusOK, map[string]bool{"deleted": v.Int != 0})
}

func (a *api) incrKey(w http.ResponseWriter, r *http.Request) {
	key, err := pathKey(r)
	if err != nil {
		failWith(w, err)
		return
	}
	by, fence, err := a.decodeIncr(w, r)
	if err != nil {
		failWith(w, err)
		return
	}
	v, err := a.mutate(w, r, fence.wrap(command.Args{[]byte("LS.INCR"), key, itoa(by)}))
	if err != nil {
		failWith(w, err)
		return
	}
	reply(w, http.StatusOK, map[string]int64{"value": v.Elems[0].Int, "version": v.Elems[1].Int})
}

// decodeIncr reads {"by": n, "fence": ...}; without a body by is 1.
func (a *api) decodeIncr(w http.ResponseWriter, r *http.Request) (by int64, under *fence, err error) {
	by = 1
	if err := noQuery(r.URL); err != nil || r.ContentLength == 0 {
		return by, nil, err
	}
	body, held, err := a.readJSON(w, r)
	if err != nil {
		return 0, nil, err
	}
	defer held.release()
	f, err := fields(body)
	if err != nil {
		return 0, nil, err
	}
	for name, v := range f {
		switch name {
		case "by":
			err = decode(name, v, &by)
		case "fence":
			under, err = decodeFence(v)
		default:
			err = unknownField(name)
		}
		if err != nil {
			return 0, nil, err
		}
	}
	return by, under, nil
}

// keyJSON starts an answer about a key.
func keyJSON(key []byte) map[string]any {
	out := make(map[string]any)
	putText(out, "key", key)
	return out
}

// putText sets out[name], or out[name_base64] unless b is UTF-8.
func putText(out map[string]any, name string, b []byte) {
	if utf8.Valid(b) {
		out[name] = string(b)
	} else {
		out[name+"_base64"] = b // encoding/json writes bytes in base64
	}
}

// orNull is n, or null when it is the number that stands for none.
func orNull(n, none int64) any {
	if n == none {
		return nil
	}
	return n
}

// tellState says of which state an answer is.
func tellState(w http.ResponseWriter, opt command.ReadOptions, info command.ReadInfo) {
	w.Header().Set(indexHeader, strconv.FormatUint(info.Index, 10))
	if opt.Consistency == command.Stale {
		w.Header().Set("X-Lockstep-Age-Ms", strconv.FormatInt(info.Age.Milliseconds(), 10))
	}
}

// readParameters are those that readOptions knows.
func readParameters() []string { return []string{"consistency", "max_staleness_ms", "min_index"} }

// readOptions reads the terms of a read from its query.
func readOptions(q map[string]string) (opt command.ReadOptions, err error) {
	level, known := request.ConsistencyOf(q["consistency"])
	if !known {
		return opt, badParameter("consistency", "linearizable or stale")
	}
	if _, ok := q["max_staleness_ms"]; ok && level != command.Stale {
		return opt, badRequest("bad_parameter", "max_staleness_ms needs consistency=stale")
	}
	opt.Consistency = level
	if s, ok := q["max_staleness_ms"]; ok {
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil || n <= 0 || n > int64(365*24*time.Hour/time.Millisecond) {
			return opt, badParameter("max_staleness_ms", "an integer greater than 0")
		}
		opt.MaxStaleness = time.Duration(n) * time.Millisecond
	}
	if s, ok := q["min_index"]; ok {
		if opt.MinIndex, err = strconv.ParseUint(s, 10, 64); err != nil {
			return opt, badParameter("min_index", "an integer of at least 0")
		}
	}
	return opt, nil
}

// paramPrefix may be empty: every key begins with that.
const paramPrefix = "prefix"

// query reads the parameters of a request: each known, each once, none empty but the
// prefix. An empty one is a mistake, not the same as none.
func query(u *url.URL, known ...string) (map[string]string, error) {
	vals, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return nil, badRequest("bad_parameter", "the query is malformed")
	}
	out := make(map[string]string, len(vals))
	for name, v := range vals {
		if !slices.Contains(known, name) {
			return nil, badRequest("unknown_parameter", "there is no parameter "+strconv.Quote(name))
		}
		if len(v) != 1 {
			return nil, badRequest("bad_parameter", "the parameter "+strconv.Quote(name)+" appears twice")
		}
		if v[0] == "" && name != paramPrefix {
			return nil, badRequest("bad_parameter", "the parameter "+strconv.Quote(name)+" has no value")
		}
		out[name] = v[0]
	}
	return out, nil
}

func noQuery(u *url.URL) error {
	_, err := query(u)
	return err
}

func badParameter(name, want string) error {
	return badRequest("bad_parameter", name+" must be "+want)
}
