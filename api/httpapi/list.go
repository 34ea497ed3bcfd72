package httpapi

import (
	"net/http"
	"strconv"

	"github.com/lockstepkv/lockstep/api/router"
	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/resp"
)

// maxListed is the most keys of one page, as LS.SCAN has it.
const maxListed = 10_000

// listKeys is GET /v1/keys: a page of keys, all of one state of one shard.
func (a *api) listKeys(w http.ResponseWriter, r *http.Request) {
	q, err := query(r.URL, append(readParameters(), paramPrefix, "limit", "cursor", "values")...)
	if err != nil {
		failWith(w, err)
		return
	}
	opt, err := readOptions(q)
	if err != nil {
		failWith(w, err)
		return
	}
	args, err := listArgs(q)
	if err != nil {
		failWith(w, err)
		return
	}
	s := a.session(r, router.WithReadOptions(opt))
	v := a.router.Do(r.Context(), s, args)
	if v.IsError() {
		fail(w, problemOf(v))
		return
	}
	defer a.answering(r, v)()
	tellState(w, opt, s.ReadInfo())
	out := struct {
		Keys   []map[string]any `json:"keys"`
		Cursor any              `json:"cursor"`
	}{Keys: []map[string]any{}}
	for _, e := range v.Elems[1].Elems {
		out.Keys = append(out.Keys, listed(e.Elems))
	}
	if next := string(v.Elems[0].Str); next != "0" {
		out.Cursor = next
	}
	reply(w, http.StatusOK, out)
}

// listArgs is the command for a page.
func listArgs(q map[string]string) (command.Args, error) {
	cursor, limit := "0", "100"
	if s, ok := q["cursor"]; ok {
		if _, err := strconv.ParseUint(s, 10, 64); err != nil {
			return nil, badParameter("cursor", "one that an earlier page came with")
		}
		cursor = s
	}
	if s, ok := q["limit"]; ok {
		if n, err := strconv.ParseUint(s, 10, 64); err != nil || n < 1 || n > maxListed {
			return nil, badParameter("limit", "an integer from 1 to "+strconv.Itoa(maxListed))
		}
		limit = s
	}
	args := command.Args{[]byte("LS.SCAN"), []byte(cursor), []byte("COUNT"), []byte(limit), []byte("PREFIX"), []byte(q[paramPrefix])}
	switch q["values"] {
	case "", "0", "false":
		return args, nil
	case "1", "true":
		return append(args, []byte("VALUES")), nil
	}
	return nil, badParameter("values", "true or false")
}

// listed is a key of a page: name, type, version, lifetime, and its value if that was
// asked for.
func listed(elems []resp.Value) map[string]any {
	out := keyJSON(elems[0].Str)
	out["type"], out["version"], out["ttl_ms"] = string(elems[1].Str), elems[2].Int, orNull(elems[3].Int, -1)
	if len(elems) > 4 && !elems[4].IsNil() {
		putText(out, "value", elems[4].Str)
	}
	return out
}
