package httpapi

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"
	"strconv"

	"github.com/lockstepkv/lockstep/api/router"
	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/resp"
)

// maxListed is the most keys of one page, as LS.SCAN has it.
const maxListed = 10_000

// listKeys is GET /v1/keys: a page of keys, all of one state of one shard.
func (a *api) listKeys(w http.ResponseWriter, r *http.Request) {
	a.list(w, r, pageOf{name: "keys", parameters: []string{"values"}, args: listArgs, item: listed})
}

// pageOf is what differs between lists.
type pageOf struct {
	name       string   // of the items, in the answer
	parameters []string // besides those of every list
	args       func(query map[string]string) (command.Args, error)
	item       func(elems []resp.Value) map[string]any
}

// list answers a page of one state of one shard, with a cursor to the next; or a number, if
// that is what was asked for.
func (a *api) list(w http.ResponseWriter, r *http.Request, of pageOf) {
	q, err := query(r.URL, slices.Concat(readParameters(), []string{paramPrefix, "limit", "cursor"}, of.parameters)...)
	if err != nil {
		failWith(w, err)
		return
	}
	opt, err := readOptions(q)
	if err != nil {
		failWith(w, err)
		return
	}
	args, err := of.args(q)
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
	if v.Kind == resp.KindInt {
		if s.ReadInfo().Index > 0 { // several shards have no index in common
			tellState(w, opt, s.ReadInfo())
		}
		reply(w, http.StatusOK, map[string]any{"count": v.Int})
		return
	}
	defer a.answering(r, v)()
	tellState(w, opt, s.ReadInfo())
	out := page{name: of.name, items: []map[string]any{}}
	for _, e := range v.Elems[1].Elems {
		out.items = append(out.items, of.item(e.Elems))
	}
	if next := string(v.Elems[0].Str); next != "0" {
		out.cursor = next
	}
	reply(w, http.StatusOK, out)
}

// page is the answer to a list: {"<name>":[...],"cursor":...}, in this order.
type page struct {
	name   string
	items  []map[string]any
	cursor any
}

// MarshalJSON implements json.Marshaler.
func (p page) MarshalJSON() ([]byte, error) {
	var text bytes.Buffer
	fmt.Fprintf(&text, "{%q:", p.name)
	encode(&text, p.items)
	text.WriteString(`,"cursor":`)
	encode(&text, p.cursor)
	text.WriteByte('}')
	return text.Bytes(), nil
}

// pageLimit is the limit of a page, at most so many.
func pageLimit(q map[string]string, most int) (string, error) {
	s, given := q["limit"]
	if !given {
		return "100", nil
	}
	if n, err := strconv.ParseUint(s, 10, 64); err != nil || n < 1 || n > uint64(most) {
		return "", badParameter("limit", "an integer from 1 to "+strconv.Itoa(most))
	}
	return s, nil
}

// listArgs is the command for a page.
func listArgs(q map[string]string) (command.Args, error) {
	cursor := "0"
	if s, ok := q["cursor"]; ok {
		if _, err := strconv.ParseUint(s, 10, 64); err != nil {
			return nil, badParameter("cursor", "one that an earlier page came with")
		}
		cursor = s
	}
	limit, err := pageLimit(q, maxListed)
	if err != nil {
		return nil, err
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
