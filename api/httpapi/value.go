package httpapi

import (
	"encoding/base64"
	"encoding/json"
	"math"
	"strconv"
	"unicode/utf8"

	"github.com/lockstepkv/lockstep/api/clientmem"
	"github.com/lockstepkv/lockstep/resp"
)

// toJSON is the JSON form of a reply; see the package comment.
func toJSON(v resp.Value) any {
	switch v.Kind {
	case resp.KindInt:
		return v.Int
	case resp.KindBool:
		return v.Int != 0
	case resp.KindDouble:
		return jsonFloat(v.Float())
	case resp.KindError:
		return errorJSON(v)
	case resp.KindSimple, resp.KindBulk, resp.KindVerbatim, resp.KindBigNumber:
		return text(v.Str)
	case resp.KindArray, resp.KindSet, resp.KindPush:
		out := make([]any, len(v.Elems))
		for i := range v.Elems {
			out[i] = toJSON(v.Elems[i])
		}
		return out
	case resp.KindMap:
		return mapJSON(v.Elems)
	case resp.KindPairs:
		return pairs(v.Elems)
	}
	return nil
}

func jsonFloat(f float64) any {
	switch {
	case math.IsNaN(f):
		return "nan"
	case math.IsInf(f, 1):
		return "inf"
	case math.IsInf(f, -1):
		return "-inf"
	}
	return f
}

// text is a string, or an object with its base64 unless it is UTF-8.
func text(b []byte) any {
	if utf8.Valid(b) {
		return string(b)
	}
	return map[string]string{"value_base64": base64.StdEncoding.EncodeToString(b)}
}

func mapJSON(elems []resp.Value) any {
	out := make(map[string]any, len(elems)/2)
	for i := 0; i+1 < len(elems); i += 2 {
		k := elems[i]
		if (k.Kind != resp.KindBulk && k.Kind != resp.KindSimple) || !utf8.Valid(k.Str) {
			return pairs(elems)
		}
		out[string(k.Str)] = toJSON(elems[i+1])
	}
	return out
}

func pairs(elems []resp.Value) any {
	out := make([][2]any, 0, len(elems)/2)
	for i := 0; i+1 < len(elems); i += 2 {
		out = append(out, [2]any{toJSON(elems[i]), toJSON(elems[i+1])})
	}
	return out
}

// errorJSON is an error among the results of several commands.
func errorJSON(v resp.Value) any {
	p := problemOf(v)
	return map[string]string{"error": errorOf(v).Error(), "code": p.Code, "outcome": string(p.Outcome)}
}

// argument is one word of a command in JSON: a string, a number as it is
// written, or {"value_base64": "..."}.
// A string without escapes is not copied. What is decoded is counted before.
func argument(raw json.RawMessage, held *holding) ([]byte, error) {
	wrong := badRequest("wrong_type", "an argument must be a string, a number or {\"value_base64\": \"...\"}")
	if len(raw) == 0 {
		return nil, wrong
	}
	if b, ok := plainString(raw); ok {
		return b, nil
	}
	switch c := raw[0]; {
	case c == '"':
		if err := held.decoded(2 * clientmem.Alloc(len(raw))); err != nil {
			return nil, err
		}
		var s string
		if err := json.Unmarshal(raw, &s); err != nil {
			return nil, wrong
		}
		return []byte(s), nil
	case c == '-' || c >= '0' && c <= '9':
		return raw, nil
	case c == '{':
		if err := held.decoded(clientmem.Alloc(len(raw))); err != nil {
			return nil, err
		}
		f, err := fields(raw)
		if err != nil {
			return nil, err
		}
		var b []byte
		v, ok := f["value_base64"]
		if !ok || len(f) != 1 {
			return nil, wrong
		}
		if err := decode("value_base64", v, &b); err != nil {
			return nil, err
		}
		return b, nil
	}
	return nil, wrong
}

func itoa(n int64) []byte { return strconv.AppendInt(nil, n, 10) }
