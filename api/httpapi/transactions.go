package httpapi

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"

	"github.com/lockstepkv/lockstep/api/clientmem"
	"github.com/lockstepkv/lockstep/fsm/command"
)

// transaction is POST /v1/transactions: conditions over several keys, and what to do if
// they hold or not, in one log entry.
func (a *api) transaction(w http.ResponseWriter, r *http.Request) {
	if err := noQuery(r.URL); err != nil {
		failWith(w, err)
		return
	}
	body, held, err := a.readJSON(w, r)
	if err != nil {
		failWith(w, err)
		return
	}
	defer held.release()
	args, err := a.decodeTransaction(body, held)
	if err != nil {
		failWith(w, err)
		return
	}
	v, err := a.mutate(w, r, args)
	if err != nil {
		failWith(w, err)
		return
	}
	defer a.answering(r, v)()
	reply(w, http.StatusOK, map[string]any{"succeeded": v.Elems[0].Int == 1, "results": toJSON(v.Elems[1])})
}

// conditionBytes is about what a condition takes besides its key and its value: four words, and what they
// are taken from.
const conditionBytes = 400

// decodeTransaction makes an LS.TXN of {"if": [...], "then": [...], "else": [...]}.
func (a *api) decodeTransaction(body []byte, held *holding) (command.Args, error) {
	f, err := fields(body)
	if err != nil {
		return nil, err
	}
	for name := range f {
		if name != "if" && name != "then" && name != "else" {
			return nil, unknownField(name)
		}
	}
	conds, err := list(f, "if", "an array of conditions", held)
	if err != nil {
		return nil, err
	}
	args := command.Args{[]byte("LS.TXN"), []byte("IF"), itoa(int64(len(conds)))}
	for _, c := range conds {
		if err := held.decoded(conditionBytes + 2*int64(len(c))); err != nil {
			return nil, err
		}
		words, err := decodeCondition(c)
		if err != nil {
			return nil, err
		}
		args = append(args, words...)
	}
	for _, branch := range []struct{ field, word string }{{"then", "THEN"}, {"else", "ELSE"}} {
		cmds, err := list(f, branch.field, "an array of commands", held)
		if err != nil {
			return nil, err
		}
		args = append(args, []byte(branch.word), itoa(int64(len(cmds))))
		for _, c := range cmds {
			if !isArray(c) {
				return nil, badRequest("wrong_type", "each command must be an array of its words")
			}
			cmd, err := a.decodeCommand(c, held)
			if err != nil {
				return nil, err
			}
			if err := held.decoded(2 * clientmem.SliceBytes * int64(len(cmd)+1)); err != nil {
				return nil, err
			}
			args = append(append(args, itoa(int64(len(cmd)))), cmd...)
		}
	}
	return args, nil
}

// list is an array among the fields; empty when it is not there.
func list(f map[string]json.RawMessage, name, want string, held *holding) (elems []json.RawMessage, err error) {
	v, there := f[name]
	if !there {
		return nil, nil
	}
	if !isArray(v) {
		return nil, badRequest("wrong_type", "the field "+strconv.Quote(name)+" must be "+want)
	}
	n := countElements(v)
	if err := held.decoded(clientmem.Alloc(clientmem.SliceBytes * n)); err != nil {
		return nil, err
	}
	elems = make([]json.RawMessage, 0, n)
	for e := range elements(v) {
		elems = append(elems, e)
	}
	return elems, nil
}

// decodeCondition reads a key with what is asked of it.
func decodeCondition(raw json.RawMessage) (words command.Args, err error) {
	f, err := fields(raw)
	if err != nil {
		return nil, badRequest("wrong_type", "each condition must be an object")
	}
	var key, operand []byte
	test, keys, tests := "", 0, 0
	for name, v := range f {
		switch name {
		case "key", "key_base64":
			keys++
			key, err = decodeText(name, v)
		case "version":
			var n uint64
			err = decode(name, v, &n)
			test, operand, tests = "VERSION", strconv.AppendUint(nil, n, 10), tests+1
		case "exists":
			var b bool
			err = decode(name, v, &b)
			test, operand, tests = "EXISTS", []byte("0"), tests+1
			if b {
				operand = []byte("1")
			}
		case "value", "value_base64":
			test, tests = "VALUE", tests+1
			operand, err = decodeText(name, v)
		default:
			err = unknownField(name)
		}
		if err != nil {
			return nil, err
		}
	}
	if keys != 1 || tests != 1 {
		return nil, badRequest("missing_field", "each condition must have a key and one of \"version\", \"exists\" and \"value\"")
	}
	return command.Args{key, []byte(test), operand}, nil
}

// decodeText reads a field that is text, or base64 if its name says so.
func decodeText(name string, v json.RawMessage) (b []byte, err error) {
	if strings.HasSuffix(name, "_base64") {
		err = decode(name, v, &b)
		return b, err
	}
	if b, ok := plainString(v); ok {
		return b, nil
	}
	var s string
	err = decode(name, v, &s)
	return []byte(s), err
}
