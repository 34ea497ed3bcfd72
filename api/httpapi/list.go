package httpapi

import (
	"bytes"
	"cmp"
	"fmt"
	"hash/crc32"
	"net/http"
	"slices"
	"strconv"
	"strings"

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

// paramCursor is where a page begins: what the page before it came with.
const paramCursor = "cursor"

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
	q, err := query(r.URL, slices.Concat(readParameters(), []string{paramPrefix, "limit", paramCursor}, of.parameters)...)
	if err != nil {
		failWith(w, err)
		return
	}
	opt, err := readOptions(q)
	if err != nil {
		failWith(w, err)
		return
	}
	args, err := of.command(q)
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
	if next := string(v.Elems[0].Str); next != command.StartCursor {
		out.cursor = of.sealed(next)
	}
	reply(w, http.StatusOK, out)
}

// command is the one for a page, from the cursor on that an earlier page came with.
func (of pageOf) command(q map[string]string) (command.Args, error) {
	if s, ok := q[paramCursor]; ok && s != command.StartCursor {
		cursor := s[:max(strings.LastIndex(s, cursorMark), 0)]
		if of.sealed(cursor) != s {
			return nil, badParameter(paramCursor, "one that an earlier page came with")
		}
		q[paramCursor] = cursor
	}
	return of.args(q)
}

// cursorMark is between a cursor and its checksum.
const cursorMark = "."

// sealed is a cursor as clients get it. The checksum is over the list's name too: a cursor that
// was cut, or is of another list, would end the list early, and nobody would notice.
func (of pageOf) sealed(cursor string) string {
	return fmt.Sprintf("%s%s%08x", cursor, cursorMark, crc32.ChecksumIEEE([]byte(of.name+cursorMark+cursor)))
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

// cursorOf is where a page begins.
func cursorOf(q map[string]string) string { return cmp.Or(q[paramCursor], command.StartCursor) }

// listArgs is the command for a page.
func listArgs(q map[string]string) (command.Args, error) {
	limit, err := pageLimit(q, maxListed)
	if err != nil {
		return nil, err
	}
	args := command.Args{[]byte("LS.SCAN"), []byte(cursorOf(q)), []byte("COUNT"), []byte(limit), []byte("PREFIX"), []byte(q[paramPrefix])}
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
