package httpapi

import (
	"encoding/json"
	"net/http"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/resp"
)

// What is here changes elements of a value, not the whole: PATCH of fields and members, push and pop of lists.

// patchRequest is what PATCH asks for: {"type", "put", "remove", "fence"}.
type patchRequest struct {
	of          *valueType
	put, remove command.Args
	fence       *fence
}

func (a *api) patchKey(w http.ResponseWriter, r *http.Request) {
	key, body, held, err := a.elementsBody(w, r)
	if err != nil {
		failWith(w, err)
		return
	}
	defer held.release()
	p, err := a.decodePatch(body, held)
	if err != nil {
		failWith(w, err)
		return
	}
	v, err := a.mutate(w, r, p.fence.wrap(p.args(key)))
	if err != nil {
		failWith(w, err)
		return
	}
	counts := v.Elems
	if v.Kind == resp.KindInt {
		counts = []resp.Value{v}
	} else if len(counts) == 2 { // of a transaction: which branch, and its replies
		counts = counts[1].Elems
	}
	out := make(map[string]int64)
	for _, part := range []struct {
		name string
		is   command.Args
	}{{"added", p.put}, {"removed", p.remove}} {
		if len(part.is) > 0 && len(counts) > 0 {
			out[part.name], counts = counts[0].Int, counts[1:]
		}
	}
	reply(w, http.StatusOK, out)
}

// elementsBody reads a JSON body without a query.
func (a *api) elementsBody(w http.ResponseWriter, r *http.Request) (key []byte, body json.RawMessage, held *holding, err error) {
	if key, err = pathKey(r); err == nil {
		err = noQuery(r.URL)
	}
	if err != nil {
		return nil, nil, nil, err
	}
	body, held, err = a.readJSON(w, r)
	return key, body, held, err
}

func (a *api) decodePatch(body json.RawMessage, held *holding) (p patchRequest, err error) {
	f, err := fields(body)
	if err != nil {
		return p, err
	}
	if v, ok := f["type"]; ok {
		p.of, err = decodeType(v)
	}
	switch {
	case err != nil:
		return p, err
	case p.of == nil || p.of.put == "":
		return p, badRequest("bad_value", "\"type\" must be the type of a value with named elements")
	}
	for name, v := range f {
		switch name {
		case "type":
		case "put":
			p.put, err = a.wordsOf(p.of, v, held)
		case "remove":
			p.remove, err = a.listOfWords(name, v, held)
		case "fence":
			p.fence, err = decodeFence(v)
		default:
			err = unknownField(name)
		}
		if err != nil {
			return p, err
		}
	}
	if p.put == nil && p.remove == nil {
		return p, badRequest("missing_field", "the body must have \"put\" or \"remove\"")
	}
	return p, nil
}

// listOfWords reads an array of strings or numbers, at least one.
func (a *api) listOfWords(name string, raw json.RawMessage, held *holding) (command.Args, error) {
	if !isArray(raw) || countElements(raw) == 0 {
		return nil, badRequest("wrong_type", "\""+name+"\" must be an array with at least one element")
	}
	return a.decodeCommand(raw, held)
}

// args is the command for p: one, or both as a transaction.
func (p *patchRequest) args(key []byte) command.Args {
	put := append(command.Args{[]byte(p.of.put), key}, p.put...)
	remove := append(command.Args{[]byte(p.of.remove), key}, p.remove...)
	switch {
	case p.remove == nil:
		return put
	case p.put == nil:
		return remove
	}
	txn := command.Args{[]byte("LS.TXN"), []byte("IF"), []byte("0"), []byte("THEN"), []byte("2")}
	for _, args := range []command.Args{put, remove} {
		txn = append(append(txn, itoa(int64(len(args)))), args...)
	}
	return append(txn, []byte("ELSE"), []byte("0"))
}

// The ends of a list, as JSON names them.
const (
	endLeft  = "left"
	endRight = "right"
)

func decodeEnd(v json.RawMessage) (end string, err error) {
	if err = decode("end", v, &end); err == nil && end != endLeft && end != endRight {
		err = badRequest("bad_value", "\"end\" must be \"left\" or \"right\"")
	}
	return end, err
}

// pushKey is POST .../push {"values", "end", "fence"}: values are pushed one after the other.
func (a *api) pushKey(w http.ResponseWriter, r *http.Request) {
	key, body, held, err := a.elementsBody(w, r)
	if err != nil {
		failWith(w, err)
		return
	}
	defer held.release()
	var values command.Args
	var under *fence
	end := endRight
	f, err := fields(body)
	for name, v := range f {
		switch name {
		case "values":
			values, err = a.listOfWords(name, v, held)
		case "end":
			end, err = decodeEnd(v)
		case "fence":
			under, err = decodeFence(v)
		default:
			err = unknownField(name)
		}
		if err != nil {
			break
		}
	}
	if err == nil && values == nil {
		err = badRequest("missing_field", "the body must have \"values\"")
	}
	if err != nil {
		failWith(w, err)
		return
	}
	push := map[string]string{endLeft: "LPUSH", endRight: "RPUSH"}[end]
	v, err := a.mutate(w, r, under.wrap(append(command.Args{[]byte(push), key}, values...)))
	if err != nil {
		failWith(w, err)
		return
	}
	reply(w, http.StatusOK, map[string]int64{"length": v.Int})
}

// popKey is POST .../pop {"count", "end", "fence"}; without a body one element from the left.
func (a *api) popKey(w http.ResponseWriter, r *http.Request) {
	key, err := pathKey(r)
	if err == nil {
		err = noQuery(r.URL)
	}
	count, pop, under := int64(1), "LPOP", (*fence)(nil)
	if err == nil && r.ContentLength != 0 {
		count, pop, under, err = a.decodePop(w, r)
	}
	if err != nil {
		failWith(w, err)
		return
	}
	v, err := a.mutate(w, r, under.wrap(command.Args{[]byte(pop), key, itoa(count)}))
	if err != nil {
		failWith(w, err)
		return
	}
	defer a.answering(r, v)()
	values := toJSON(v)
	if values == nil {
		values = []any{}
	}
	reply(w, http.StatusOK, map[string]any{"values": values})
}

func (a *api) decodePop(w http.ResponseWriter, r *http.Request) (count int64, pop string, under *fence, err error) {
	count, pop = 1, "LPOP"
	body, held, err := a.readJSON(w, r)
	if err != nil {
		return 0, "", nil, err
	}
	defer held.release()
	f, err := fields(body)
	if err != nil {
		return 0, "", nil, err
	}
	for name, v := range f {
		switch name {
		case "count":
			if err = decode(name, v, &count); err == nil && count < 1 {
				err = badRequest("bad_value", "\"count\" must be at least 1")
			}
		case "end":
			var end string
			if end, err = decodeEnd(v); end == endRight {
				pop = "RPOP"
			}
		case "fence":
			under, err = decodeFence(v)
		default:
			err = unknownField(name)
		}
		if err != nil {
			return 0, "", nil, err
		}
	}
	return count, pop, under, nil
}
