package httpapi

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/resp"
)

// The outcomes of a request that failed.
const (
	notApplied = "not_applied"
	inDoubt    = "in_doubt"
)

// problem is the body of every error, RFC 9457.
type problem struct {
	Type    string `json:"type"`
	Title   string `json:"title"`
	Status  int    `json:"status"`
	Detail  string `json:"detail"`
	Code    string `json:"code"`
	Outcome string `json:"outcome"`
}

// Error makes a problem what a decoder returns when it refuses a request.
func (p problem) Error() string { return p.Code + ": " + p.Detail }

// badRequest is a problem with what the client sent.
func badRequest(code, detail string) problem {
	return problem{Status: http.StatusBadRequest, Code: code, Detail: detail}
}

// complete fills in what a problem needs not say.
func (p problem) complete() problem {
	if p.Type == "" {
		p.Type = "about:blank"
	}
	if p.Title == "" {
		p.Title = http.StatusText(p.Status)
	}
	if p.Outcome == "" {
		p.Outcome = notApplied
	}
	return p
}

// fail answers with a problem.
func fail(w http.ResponseWriter, p problem) {
	p = p.complete()
	failBody(w, p, p)
}

// failBody answers with a problem that has more members than most.
func failBody(w http.ResponseWriter, p problem, body any) {
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	switch p.Status {
	case http.StatusServiceUnavailable, http.StatusTooManyRequests:
		h.Set("Retry-After", "1")
	case http.StatusUnauthorized:
		h.Add("WWW-Authenticate", `Basic realm="lockstep", charset="UTF-8"`)
		h.Add("WWW-Authenticate", `Bearer realm="lockstep"`)
	}
	w.WriteHeader(p.Status)
	encode(w, body)
}

// failWith answers with the problem that err is.
func failWith(w http.ResponseWriter, err error) {
	if p, ok := err.(problem); ok {
		fail(w, p)
		return
	}
	fail(w, badRequest("bad_request", err.Error()))
}

// reply answers with JSON.
func reply(w http.ResponseWriter, status int, v any) {
	startJSON(w, status)
	encode(w, v)
}

// startJSON begins an answer in JSON.
func startJSON(w http.ResponseWriter, status int) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
}

// encode leaves <, > and & readable: no browser takes this for HTML.
func encode(w io.Writer, v any) {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(v) // a client that is gone needs no answer
}

// errorKind is what the code of an error reply means in HTTP. This is the one
// map from errors to statuses.
func errorKind(code string) (status int, name, outcome string) {
	switch code {
	case "INDOUBT":
		return http.StatusGatewayTimeout, "in_doubt", inDoubt
	case "CLUSTERDOWN":
		return http.StatusServiceUnavailable, "unavailable", notApplied
	case "TRYAGAIN":
		return http.StatusServiceUnavailable, "overloaded", notApplied
	case "LOADING":
		return http.StatusServiceUnavailable, "loading", notApplied
	case "OOM":
		return http.StatusInsufficientStorage, "out_of_memory", notApplied
	case "WRONGTYPE":
		return http.StatusUnprocessableEntity, "wrong_type", notApplied
	case command.CodeCondition:
		return http.StatusPreconditionFailed, "condition_failed", notApplied
	case command.CodeStaleFence:
		return http.StatusPreconditionFailed, "stale_fence", notApplied
	case "ONCEMISMATCH":
		return http.StatusConflict, "idempotency_key_reused", notApplied
	case "ONCEFULL":
		return http.StatusServiceUnavailable, "idempotency_keys_full", notApplied
	case "ONCESHARE":
		return http.StatusTooManyRequests, "idempotency_keys_share", notApplied
	case "ONCEEXPIRED":
		return http.StatusConflict, "idempotency_key_expired", notApplied
	case "EXECABORT":
		return http.StatusConflict, "transaction_aborted", notApplied
	case "CROSSSLOT":
		return http.StatusBadRequest, "cross_slot", notApplied
	case "NOAUTH", "WRONGPASS":
		return http.StatusUnauthorized, "unauthorized", notApplied
	case "NOPERM":
		return http.StatusForbidden, "forbidden", notApplied
	}
	return http.StatusBadRequest, "command_error", notApplied
}

// classKind is errorKind for errors whose class says more than their code.
func classKind(c resp.Class) (status int, name string, ok bool) {
	switch c {
	case resp.ClassValue:
		return http.StatusUnprocessableEntity, "not_an_integer", true
	case resp.ClassNoKey:
		return http.StatusNotFound, "no_such_key", true
	case resp.ClassTooLarge:
		return http.StatusRequestEntityTooLarge, "too_large", true
	case resp.ClassTooStale:
		return http.StatusServiceUnavailable, "too_stale", true
	case resp.ClassMemory:
		return http.StatusInsufficientStorage, "out_of_memory", true
	case resp.ClassDisk:
		return http.StatusInsufficientStorage, "out_of_disk", true
	}
	return 0, "", false
}

// errorText is what an error reply says, in words of Lockstep where the Redis port has those
// of Redis.
func errorText(v resp.Value) string {
	if resp.Error(v.Str).Code() == "LOADING" {
		return "LOADING this node is starting and does not serve data yet"
	}
	return string(v.Str)
}

// problemOf is the problem that an error reply is.
func problemOf(v resp.Value) problem {
	text := errorText(v)
	code := resp.Error(text).Code()
	p := problem{Detail: strings.TrimPrefix(text, code+" ")}
	p.Status, p.Code, p.Outcome = errorKind(code)
	if p.Code == "command_error" {
		p.Detail = text
	}
	if status, name, ok := classKind(v.Class()); ok {
		p.Status, p.Code = status, name
	}
	return p
}
