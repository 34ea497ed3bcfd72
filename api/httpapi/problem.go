package httpapi

import (
	"encoding/json"
	"io"
	"net/http"

	"github.com/lockstepkv/lockstep/api/request"
	"github.com/lockstepkv/lockstep/resp"
)

// problem is the body of every error, RFC 9457.
type problem struct {
	Type    string          `json:"type"`
	Title   string          `json:"title"`
	Status  int             `json:"status"`
	Detail  string          `json:"detail"`
	Code    string          `json:"code"`
	Outcome request.Outcome `json:"outcome"`
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
	if p.Outcome == request.Done {
		p.Outcome = request.Refused
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
func errorKind(code request.Code) (status int, name string) {
	switch code {
	case request.CodeInDoubt:
		return http.StatusGatewayTimeout, "in_doubt"
	case request.CodeUnavailable:
		return http.StatusServiceUnavailable, "unavailable"
	case request.CodeOverloaded:
		return http.StatusServiceUnavailable, "overloaded"
	case request.CodeLoading:
		return http.StatusServiceUnavailable, "loading"
	case request.CodeOOM:
		return http.StatusInsufficientStorage, "out_of_memory"
	case request.CodeWrongType:
		return http.StatusUnprocessableEntity, "wrong_type"
	case request.CodeCondition:
		return http.StatusPreconditionFailed, "condition_failed"
	case request.CodeStaleFence:
		return http.StatusPreconditionFailed, "stale_fence"
	case request.CodeOnceMismatch:
		return http.StatusConflict, "idempotency_key_reused"
	case request.CodeOnceFull:
		return http.StatusServiceUnavailable, "idempotency_keys_full"
	case request.CodeOnceShare:
		return http.StatusTooManyRequests, "idempotency_keys_share"
	case request.CodeOnceExpired:
		return http.StatusConflict, "idempotency_key_expired"
	case request.CodeExecAbort:
		return http.StatusConflict, "transaction_aborted"
	case request.CodeCrossSlot:
		return http.StatusBadRequest, "cross_slot"
	case request.CodeNoAuth, request.CodeWrongPass:
		return http.StatusUnauthorized, "unauthorized"
	case request.CodeNoPerm:
		return http.StatusForbidden, "forbidden"
	}
	return http.StatusBadRequest, "command_error"
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

// errorOf is the error that an error reply is, in words of Lockstep where the Redis port has
// those of Redis.
func errorOf(v resp.Value) request.Error {
	e := request.OfReply(v)
	if e.Code == request.CodeLoading {
		e.Text = "this node is starting and does not serve data yet"
	}
	return e
}

// problemOf is the problem that an error reply is.
func problemOf(v resp.Value) problem {
	e := errorOf(v)
	p := problem{Detail: e.Text, Outcome: e.Outcome()}
	p.Status, p.Code = errorKind(e.Code)
	if p.Code == "command_error" || e.Text == "" {
		p.Detail = e.Error()
	}
	if status, name, ok := classKind(e.Class); ok {
		p.Status, p.Code = status, name
	}
	return p
}
