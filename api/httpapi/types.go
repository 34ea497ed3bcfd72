package httpapi

import (
	"encoding/json"
	"slices"
	"strconv"

	"github.com/lockstepkv/lockstep/api/clientmem"
	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/resp"
)

// valueType is how the values of a type, other than string, look in JSON.
type valueType struct {
	name string // as in TYPE
	form string // for errors

	// json is what LS.GET answered.
	json func(v resp.Value) any

	// words appends the words of LS.STORE for one element.
	words func(a *api, to command.Args, element json.RawMessage, held *holding) (command.Args, error)

	put, remove string // commands for some elements; empty: none

	object bool // it is an object, or an array of pairs when a name is not UTF-8
}

var valueTypes = []*valueType{
	{name: "hash", form: "an object of fields, or an array of [field, value]", json: toJSON, words: (*api).pairWords, put: "HSET", remove: "HDEL", object: true},
	{name: "list", form: "an array", json: toJSON, words: (*api).oneWord},
}

// typeNamed returns the type of that name, nil for a string and for any other.
func typeNamed(name string) *valueType {
	i := slices.IndexFunc(valueTypes, func(t *valueType) bool { return t.name == name })
	if i < 0 {
		return nil
	}
	return valueTypes[i]
}

// decodeType reads the field "type"; nil is a string.
func decodeType(v json.RawMessage) (*valueType, error) {
	var name string
	if err := decode("type", v, &name); err != nil {
		return nil, err
	}
	if t := typeNamed(name); t != nil || name == "string" {
		return t, nil
	}
	list := "\"string\""
	for _, t := range valueTypes {
		list += ", " + strconv.Quote(t.name)
	}
	return nil, badRequest("bad_value", "\"type\" must be one of "+list)
}

// wordsOf reads a value of type t as words for the log.
func (a *api) wordsOf(t *valueType, raw json.RawMessage, held *holding) (words command.Args, err error) {
	switch {
	case t.object && len(raw) > 0 && raw[0] == '{':
		words, err = a.memberWords(raw, held)
	case isArray(raw):
		if err := held.decoded(2 * clientmem.Alloc(clientmem.SliceBytes*countElements(raw))); err != nil {
			return nil, err
		}
		for e := range elements(raw) {
			if words, err = t.words(a, words, e, held); err != nil {
				return nil, err
			}
		}
	default:
		err = badRequest("wrong_type", "a "+t.name+" must be "+t.form)
	}
	if err == nil && len(words) == 0 {
		err = badRequest("empty_value", "a "+t.name+" has at least one element; DELETE removes a key")
	}
	return words, err
}

// fieldBytes is about what a field takes while an object is read.
const fieldBytes = 128

// memberWords reads an object: name and value of each member.
func (a *api) memberWords(object json.RawMessage, held *holding) (command.Args, error) {
	n := countMembers(object)
	if err := held.decoded(int64(n)*fieldBytes + clientmem.Alloc(2*clientmem.SliceBytes*n)); err != nil {
		return nil, err
	}
	words, seen := make(command.Args, 0, 2*n), make(map[string]bool, n)
	for name, value := range members(object) {
		for _, raw := range []json.RawMessage{name, value} {
			var err error
			if words, err = a.oneWord(words, raw, held); err != nil {
				return nil, err
			}
		}
		field := string(words[len(words)-2])
		if seen[field] {
			return nil, twiceField(field)
		}
		seen[field] = true
	}
	return words, nil
}

// oneWord reads a string, a number or {"value_base64": "..."}.
func (a *api) oneWord(to command.Args, raw json.RawMessage, held *holding) (command.Args, error) {
	b, err := argument(raw, held)
	if err == nil && int64(len(b)) > a.maxRaw {
		err = tooLarge(a.maxRaw)
	}
	return append(to, b), err
}

// pairWords reads [field, value].
func (a *api) pairWords(to command.Args, raw json.RawMessage, held *holding) (command.Args, error) {
	if !isArray(raw) || countElements(raw) != 2 {
		return nil, badRequest("wrong_type", "each element must be [field, value]")
	}
	for e := range elements(raw) {
		var err error
		if to, err = a.oneWord(to, e, held); err != nil {
			return nil, err
		}
	}
	return to, nil
}
