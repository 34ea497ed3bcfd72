package httpapi

import (
	"bytes"
	"encoding/json"
	"iter"
	"strconv"
)

// What is here takes valid JSON apart without a copy: encoding/json would make several of each part.

func isSpace(c byte) bool { return c == ' ' || c == '\n' || c == '\t' || c == '\r' }

func skipSpace(b []byte, i int) int {
	for i < len(b) && isSpace(b[i]) {
		i++
	}
	return i
}

// valueEnd returns where the value ends that begins at b[i].
func valueEnd(b []byte, i int) int {
	depth := 0
	for ; i < len(b); i++ {
		switch b[i] {
		case '"':
			i = stringEnd(b, i) - 1
		case '[', '{':
			depth++
			continue
		case ']', '}':
			depth--
		case ',', ':', ' ', '\n', '\t', '\r':
			continue // of an array or an object
		default:
			i = scalarEnd(b, i) - 1
		}
		if depth == 0 {
			return i + 1
		}
	}
	return i
}

func stringEnd(b []byte, i int) int {
	for i++; b[i] != '"'; i++ {
		if b[i] == '\\' {
			i++
		}
	}
	return i + 1
}

// scalarEnd is for numbers, true, false and null.
func scalarEnd(b []byte, i int) int {
	for i < len(b) && !isSpace(b[i]) && bytes.IndexByte([]byte(",:]}"), b[i]) < 0 {
		i++
	}
	return i
}

// plainString is the text of a string without escapes, where it is.
func plainString(raw []byte) (text []byte, ok bool) {
	if len(raw) < 2 || raw[0] != '"' || bytes.IndexByte(raw, '\\') >= 0 {
		return nil, false
	}
	return raw[1 : len(raw)-1 : len(raw)-1], true
}

func isArray(raw []byte) bool { return len(raw) > 0 && raw[0] == '[' }

// elements yields the elements of an array. They point into it.
func elements(array []byte) iter.Seq[json.RawMessage] {
	return func(yield func(json.RawMessage) bool) {
		for i := skipSpace(array, 1); array[i] != ']'; {
			end := valueEnd(array, i)
			if !yield(array[i:end:end]) {
				return
			}
			i = nextPart(array, end)
		}
	}
}

// nextPart skips a comma.
func nextPart(b []byte, i int) int {
	if i = skipSpace(b, i); b[i] == ',' {
		i = skipSpace(b, i+1)
	}
	return i
}

func countElements(array []byte) (n int) {
	for range elements(array) {
		n++
	}
	return n
}

// members yields the members of an object: the name, with its quotes, and the value. They point into it.
func members(object []byte) iter.Seq2[json.RawMessage, json.RawMessage] {
	return func(yield func(name, value json.RawMessage) bool) {
		for i := skipSpace(object, 1); object[i] != '}'; {
			nameEnd := stringEnd(object, i)
			from := skipSpace(object, skipSpace(object, nameEnd)+1) // behind the colon
			end := valueEnd(object, from)
			if !yield(object[i:nameEnd:nameEnd], object[from:end:end]) {
				return
			}
			i = nextPart(object, end)
		}
	}
}

func countMembers(object []byte) (n int) {
	for range members(object) {
		n++
	}
	return n
}

// fields splits a JSON object. Names are exact and appear once. The values point into it.
func fields(body []byte) (map[string]json.RawMessage, error) {
	body = bytes.TrimSpace(body)
	if len(body) == 0 || body[0] != '{' {
		return nil, badRequest("wrong_type", "the body must be a JSON object")
	}
	out := make(map[string]json.RawMessage)
	for quoted, value := range members(body) {
		var name string
		if err := json.Unmarshal(quoted, &name); err != nil {
			return nil, badRequest("invalid_json", err.Error())
		}
		if _, twice := out[name]; twice {
			return nil, twiceField(name)
		}
		out[name] = value
	}
	return out, nil
}

func twiceField(name string) error {
	return badRequest("duplicate_field", "the field "+strconv.Quote(name)+" appears twice")
}
