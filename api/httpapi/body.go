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
	"os"
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
func (a *api) readBody(w http.ResponseWriter, r *http.Request, limit int64) (body []byte, held *holding, err error) {
	if r.ContentLength > limit {
		return nil, nil, tooLarge(limit)
	}
	most := limit
	if r.ContentLength >= 0 {
		most = r.ContentLength
	}
	held = a.hold(r, http.MaxBytesReader(w, r.Body, limit))
	body, err = readCharged(r.Context(), held, held, most, r.ContentLength >= 0)
	if err != nil {
		held.release()
		if errors.Is(err, errNoMemory) {
			return nil, nil, held.refusal()
		}
		return nil, nil, bodyProblem(err, limit)
	}
	if held.run() != nil {
		held.release()
		return nil, nil, held.refusal()
	}
	return body, held, nil
}

// readCharged reads to the end of in, at most the given number of bytes. Its memory is
// charged before it is taken, and grows with what comes: little of it is copied if so many
// bytes are announced.
func readCharged(ctx context.Context, in io.Reader, held grower, most int64, announced bool) ([]byte, error) {
	buf := make([]byte, 0, min(most, firstBytes))
	ready := 0
	for {
		if len(buf) == cap(buf) && int64(cap(buf)) < most {
			size := min(2*cap(buf), int(most))
			if announced {
				size = bulk.NextSize(int(most), len(buf))
			}
			if err := growCharge(ctx, held, int64(size)); err != nil {
				return nil, err
			}
			grown := make([]byte, len(buf), size)
			bulk.Copy(grown, buf)
			buf = grown
		}
		if len(buf) >= ready {
			ready = min(len(buf)+readyBytes, cap(buf))
			bulk.Ready(buf[len(buf):ready])
		}
		var spare [1]byte // to see the end, or one byte too many
		into := buf[len(buf):cap(buf)]
		if len(into) == 0 {
			into = spare[:]
		}
		n, err := in.Read(into)
		switch {
		case n > 0 && len(buf) == cap(buf):
			return nil, &http.MaxBytesError{Limit: most}
		case err == io.EOF:
			return buf[:len(buf)+n], nil
		case err != nil:
			return nil, err
		}
		buf = buf[:len(buf)+n]
	}
}

const (
	// firstBytes is the memory that a body begins with.
	firstBytes = 4 << 10
	// readyBytes is how much of it is made ready to be written at a time.
	readyBytes = 1 << 20
)

// grower is a *charge, or what counts more.
type grower interface {
	grow(ctx context.Context, n int64) error
}

func growCharge(ctx context.Context, held grower, size int64) error {
	ctx, cancel := context.WithTimeout(ctx, bodyPatience)
	defer cancel()
	return held.grow(ctx, size)
}

// bodyProblem says why a body was not read.
func bodyProblem(err error, limit int64) error {
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return tooLarge(limit)
	case errors.Is(err, errNoBudget):
		return problem{Status: http.StatusServiceUnavailable, Code: "overloaded", Detail: "too many large requests at once"}
	case errors.Is(err, os.ErrDeadlineExceeded):
		return problem{Status: http.StatusRequestTimeout, Code: "body_stalled", Detail: "the body stopped coming"}
	}
	return badRequest("truncated_body", "the body ended early")
}

func tooLarge(limit int64) error {
	return problem{Status: http.StatusRequestEntityTooLarge, Code: "too_large",
		Detail: "the request is larger than " + strconv.FormatInt(limit, 10) + " bytes"}
}

// readJSON is readBody for a JSON text.
func (a *api) readJSON(w http.ResponseWriter, r *http.Request) (body []byte, held *holding, err error) {
	raw, err := mediaType(r)
	if err == nil && raw {
		err = problem{Status: http.StatusUnsupportedMediaType, Code: "unsupported_media_type", Detail: "this call takes application/json"}
	}
	if err != nil {
		return nil, nil, err
	}
	body, held, err = a.readBody(w, r, a.maxJSON)
	if err != nil {
		return nil, nil, err
	}
	if err := checkJSON(body); err != nil {
		held.release()
		return nil, nil, err
	}
	return body, held, nil
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
	if !json.Valid(body) {
		err := json.Unmarshal(body, new(json.RawMessage))
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
