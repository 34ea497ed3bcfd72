package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/lockstepkv/lockstep/internal/bulk"
)

const octetStream = "application/octet-stream"

// bodyPatience is how long a request waits for memory for its body.
const bodyPatience = 5 * time.Second

// mediaType returns the type of the body: octet-stream, or JSON. What curl sends
// by default (a form) and a body without a type are taken for JSON.
func mediaType(r *http.Request) (raw bool, err error) {
	header := r.Header.Get("Content-Type")
	if header == "" {
		return false, nil
	}
	typ, params, err := mime.ParseMediaType(header)
	if cs := params["charset"]; cs != "" && !strings.EqualFold(cs, "utf-8") {
		typ = ""
	}
	switch {
	case err != nil || typ == "":
	case typ == octetStream:
		return true, nil
	case typ == "application/json", typ == "application/x-www-form-urlencoded",
		strings.HasPrefix(typ, "application/") && strings.HasSuffix(typ, "+json"):
		return false, nil
	}
	return false, problem{Status: http.StatusUnsupportedMediaType, Code: "unsupported_media_type",
		Detail: "the body must be application/json in UTF-8, or application/octet-stream for a raw value"}
}

// readBody reads at most limit bytes. The caller calls release when it is done
// with them.
func (a *api) readBody(w http.ResponseWriter, r *http.Request, limit int64) (body []byte, release func(), err error) {
	if r.ContentLength > limit {
		return nil, nil, tooLarge(limit)
	}
	expect := r.ContentLength
	if expect < 0 {
		expect = limit // chunked: it may grow to that
	}
	ctx, cancel := context.WithTimeout(r.Context(), bodyPatience)
	defer cancel()
	release, err = a.held.take(ctx, expect)
	if err != nil {
		return nil, nil, problem{Status: http.StatusServiceUnavailable, Code: "overloaded", Detail: "too many large requests at once"}
	}
	if body, err = readAll(http.MaxBytesReader(w, r.Body, limit), r.ContentLength); err != nil {
		release()
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			return nil, nil, tooLarge(limit)
		}
		return nil, nil, badRequest("truncated_body", "the body ended early")
	}
	return body, release, nil
}

// firstBytes is how much memory the announced length of a body gets before any of it came.
const firstBytes = 1 << 20

// readAll reads r to its end. length is what was announced, negative if nothing was.
func readAll(r io.Reader, length int64) ([]byte, error) {
	if length < 0 {
		var buf bytes.Buffer
		_, err := io.Copy(&buf, r)
		return buf.Bytes(), err
	}
	body := make([]byte, 0, min(length, firstBytes))
	for {
		for len(body) < cap(body) {
			next := body[len(body):min(len(body)+firstBytes, cap(body))]
			bulk.Ready(next)
			n, err := io.ReadFull(r, next)
			if body = body[:len(body)+n]; err != nil {
				return nil, err
			}
		}
		if int64(len(body)) == length {
			return body, nil
		}
		grown := make([]byte, len(body), bulk.NextSize(int(length), len(body)))
		bulk.Copy(grown, body)
		body = grown
	}
}

func tooLarge(limit int64) error {
	return problem{Status: http.StatusRequestEntityTooLarge, Code: "too_large",
		Detail: "the request is larger than " + strconv.FormatInt(limit, 10) + " bytes"}
}

// readJSON is readBody for a JSON text.
func (a *api) readJSON(w http.ResponseWriter, r *http.Request) (body []byte, release func(), err error) {
	raw, err := mediaType(r)
	if err == nil && raw {
		err = problem{Status: http.StatusUnsupportedMediaType, Code: "unsupported_media_type", Detail: "this call takes application/json"}
	}
	if err != nil {
		return nil, nil, err
	}
	body, release, err = a.readBody(w, r, a.maxJSON)
	if err != nil {
		return nil, nil, err
	}
	if err := checkJSON(body); err != nil {
		release()
		return nil, nil, err
	}
	return body, release, nil
}

// checkJSON accepts one JSON text and nothing after it. encoding/json replaces
// what is not Unicode by U+FFFD, which would change a value silently, so that is
// refused here.
func checkJSON(body []byte) error {
	switch {
	case !utf8.Valid(body):
		return badRequest("invalid_utf8", "the body is not valid UTF-8; send binary values as value_base64")
	case len(bytes.TrimSpace(body)) == 0:
		return badRequest("invalid_json", "the body is empty")
	}
	var syntax *json.SyntaxError
	var any json.RawMessage
	if err := json.Unmarshal(body, &any); err != nil {
		if errors.As(err, &syntax) {
			return badRequest("invalid_json", fmt.Sprintf("at byte %d: %v", syntax.Offset, err))
		}
		return badRequest("invalid_json", err.Error())
	}
	if loneSurrogate(body) {
		return badRequest("invalid_utf8", "a \\u escape is half of a surrogate pair")
	}
	return nil
}

// loneSurrogate reports whether valid JSON has a \u escape that is no character.
func loneSurrogate(b []byte) bool {
	for i := 0; i < len(b); i++ {
		if b[i] != '\\' {
			continue
		}
		if i++; b[i] != 'u' {
			continue
		}
		r := hex4(b[i+1:])
		i += 4
		switch {
		case r >= 0xdc00 && r < 0xe000:
			return true
		case r >= 0xd800 && r < 0xdc00:
			if i+6 >= len(b) || b[i+1] != '\\' || b[i+2] != 'u' {
				return true
			}
			if low := hex4(b[i+3:]); low < 0xdc00 || low >= 0xe000 {
				return true
			}
			i += 6
		}
	}
	return false
}

func hex4(b []byte) uint64 {
	n, _ := strconv.ParseUint(string(b[:4]), 16, 32) // valid JSON has four digits here
	return n
}

// fields splits a JSON object. Names are exact and appear once.
func fields(body []byte) (map[string]json.RawMessage, error) {
	dec := json.NewDecoder(bytes.NewReader(body))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil, badRequest("wrong_type", "the body must be a JSON object")
	}
	out := make(map[string]json.RawMessage)
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return nil, badRequest("invalid_json", err.Error())
		}
		var v json.RawMessage
		if err := dec.Decode(&v); err != nil {
			return nil, badRequest("invalid_json", err.Error())
		}
		key := name.(string) // within an object the decoder yields nothing else
		if _, twice := out[key]; twice {
			return nil, badRequest("duplicate_field", "the field "+strconv.Quote(key)+" appears twice")
		}
		out[key] = v
	}
	return out, nil
}

// decode reads one field into out, which fixes its type; null is no value.
func decode(name string, v json.RawMessage, out any) error {
	if string(v) != "null" && json.Unmarshal(v, out) == nil {
		return nil
	}
	want := "a string"
	switch out.(type) {
	case *int64:
		want = "an integer"
	case *uint64:
		want = "an integer of at least 0"
	case *[]byte:
		want = "a string in base64"
	case *bool:
		want = "true or false"
	}
	return badRequest("wrong_type", "the field "+strconv.Quote(name)+" must be "+want)
}

func unknownField(name string) error {
	return badRequest("unknown_field", "there is no field "+strconv.Quote(name))
}
