package client

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"reflect"
	"slices"
	"strings"

	"github.com/lockstepkv/lockstep/resp"
)

// Outcome is what became of a request that failed, in the words of the HTTP interface.
type Outcome string

// The outcomes.
const (
	NotApplied Outcome = "not_applied" // nothing has happened, and nothing will
	InDoubt    Outcome = "in_doubt"    // it may have happened or not, or happen later
)

// Codes of errors that no node has sent.
const (
	CodeUnreachable        = "unreachable"         // there is no connection; nothing was sent
	CodeNoAnswer           = "no_answer"           // the connection broke, or time ran out, before the answer was whole
	CodeBadAnswer          = "bad_answer"          // not the answer of a Lockstep node
	CodeAnswerTooLarge     = "answer_too_large"    // more than Options.MaxAnswerBytes
	CodeCertificateRefused = "certificate_refused" // the node accepts no client without another certificate
	CodeUntrusted          = "untrusted"           // the node's certificate is not good, or nobody trusted has signed it
	CodeNoTLS              = "no_tls"              // the node does not speak TLS
	CodeTLSOnly            = "tls_only"            // the node speaks TLS, and this client does not
	CodeNoLeader           = "no_leader"           // some slots have no leader at the moment
)

// Error is a request that failed.
type Error struct {
	// Code is for programs: one of the codes above, or what the node sent: over HTTP
	// the member "code" of its problem document, such as "no_such_key", over the Redis
	// protocol the first word of the error reply, such as "WRONGTYPE".
	Code    string
	Outcome Outcome
	// Status is that of the HTTP answer, 0 without one.
	Status int
	// Node is the host:port of the node that answered or should have, empty after
	// several were tried.
	Node string
	// Err has the text for people and wraps the causes: a resp.Error where an error
	// reply was read, the error of the network, of the context.
	Err error
}

func (e *Error) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// IsInDoubt reports whether err, or what it wraps, is the failure of a request that
// may have happened all the same.
func IsInDoubt(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Outcome == InDoubt
}

// Code returns the code of the first Error in err's tree, empty without one.
func Code(err error) string {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

// Problem is the body of an HTTP error (RFC 9457). Members that were not sent are empty.
type Problem struct {
	Title   string  `json:"title"`
	Detail  string  `json:"detail"`
	Code    string  `json:"code"`
	Outcome Outcome `json:"outcome"`
}

// Problem reads the body of an answer that is no success. What is not a problem
// document is taken for its Detail.
func (a *Answer) Problem() Problem {
	var p Problem
	if err := json.Unmarshal(a.Body, &p); err != nil {
		p = Problem{Detail: strings.TrimSpace(string(a.Body))}
	}
	return p
}

// Err returns nil for an answer to r of status 2xx, and for others the *Error that Do
// returns.
func (a *Answer) Err(r Request) error {
	if a.Status >= 200 && a.Status < 300 {
		return nil
	}
	p := a.Problem()
	text := p.Detail
	if text == "" {
		text = p.Title
	}
	if text == "" {
		text = strings.TrimSpace(string(a.Body))
	}
	e := &Error{Code: p.Code, Outcome: NotApplied, Status: a.Status, Node: a.Node}
	if e.Code == "" {
		e.Code = CodeBadAnswer
	} else {
		text = fmt.Sprintf("%s (%s)", text, p.Code)
	}
	e.Err = fmt.Errorf("%d %s: %s", a.Status, http.StatusText(a.Status), text)
	// Without a word on the outcome some other program has answered, or the node failed.
	// Status 503 says that the request was not handled.
	unsaid := p.Outcome == "" && a.Status >= 500 && a.Status != http.StatusServiceUnavailable
	if p.Outcome == InDoubt || unsaid && !r.harmless() {
		e.Outcome = InDoubt
	}
	return e
}

// noAnswer is the error of a request whose first byte may have been sent.
func noAnswer(node string, harmless bool, err error) *Error {
	e := &Error{Code: CodeNoAnswer, Outcome: InDoubt, Node: node, Err: err}
	switch {
	case neverSent(err):
		e.Code, e.Outcome = CodeUnreachable, NotApplied
	case ofTLS(node, err) != nil:
		return ofTLS(node, err)
	case harmless:
		e.Outcome = NotApplied
	}
	return e
}

// ofTLS is err where it is about certificates or about TLS that one side does not speak; else
// nil. Nothing of a request was read then, and other nodes will say the same.
func ofTLS(node string, err error) *Error {
	var unverified *tls.CertificateVerificationError
	var noTLS tls.RecordHeaderError
	e := &Error{Outcome: NotApplied, Node: node}
	switch {
	case certificateRefused(err):
		e.Code, e.Err = CodeCertificateRefused, fmt.Errorf("%s wants a certificate of its clients and was shown none that it accepts: %w", node, err)
	case errors.Is(err, http.ErrSchemeMismatch), errors.As(err, &noTLS):
		e.Code, e.Err = CodeNoTLS, fmt.Errorf("%s does not speak TLS: %w", node, err)
	case errors.Is(err, errTLSOnly):
		e.Code, e.Err = CodeTLSOnly, fmt.Errorf("%s speaks TLS only: %w", node, err)
	case errors.As(err, &unverified):
		e.Code, e.Err = CodeUntrusted, fmt.Errorf("%s shows a certificate that is not good: %w", node, err)
	default:
		return nil
	}
	return e
}

// errNotSent: the request is not one that can be sent.
var errNotSent = errors.New("no request")

// errTLSOnly: a node that hung up before its first reply takes a handshake of TLS.
var errTLSOnly = errors.New("it hung up, and takes a handshake of TLS")

// neverSent tells whether err came before the first byte of a request.
func neverSent(err error) bool {
	var op *net.OpError
	return errors.Is(err, errNotSent) || errors.As(err, &op) && op.Op == "dial"
}

// certificateAlerts are those of TLS about a client's certificate (RFC 8446, RFC 5246).
var certificateAlerts = []tls.AlertError{
	42, // bad
	43, // of a kind that is not supported
	44, // revoked
	45, // expired
	46, // not acceptable
	48, // of an authority that is not known
	111, 113, 114,
	116, // required
}

// codeInDoubt is the first word of an error reply to a request that may have happened.
const codeInDoubt = "INDOUBT"

// certificateRefused tells whether err is what a node says to a client whose certificate it
// does not accept, or that shows none. It has read nothing of a request then.
func certificateRefused(err error) bool {
	var remote *net.OpError
	if !errors.As(err, &remote) || remote.Op != "remote error" || remote.Err == nil {
		return false
	}
	alert := reflect.ValueOf(remote.Err) // crypto/tls has a type of its own for it, and does not export it
	return alert.Kind() == reflect.Uint8 && slices.Contains(certificateAlerts, tls.AlertError(alert.Uint()))
}

// ofReply is the error that an error reply is, or nil.
func ofReply(node, command string, v resp.Value) error {
	err := v.AsError()
	if err == nil {
		return nil
	}
	e := &Error{Code: err.(resp.Error).Code(), Outcome: NotApplied, Node: node, Err: fmt.Errorf("%s: %w", command, err)}
	if e.Code == codeInDoubt {
		e.Outcome = InDoubt
	}
	return e
}
