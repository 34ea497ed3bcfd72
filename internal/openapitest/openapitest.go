// Package openapitest holds the answers of an HTTP API against its OpenAPI document, in
// tests: as the handler gives them, or as a client gets them.
package openapitest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
)

// maxBody is how much of a body is kept to be looked at. A larger one is a large value or
// a backup, whose status and headers are looked at.
const maxBody = 1 << 20

// Document is an OpenAPI document, and which of its operations have been answered.
type Document struct {
	spec *openapi3.T
	mu   sync.Mutex
	seen map[string]bool // as "GET /path 200"; guarded by mu
}

func init() {
	openapi3filter.RegisterBodyDecoder("text/event-stream", openapi3filter.RegisteredBodyDecoder("text/plain"))
}

// New reads a document, which must be right in itself.
func New(document []byte) (*Document, error) {
	spec, err := openapi3.NewLoader().LoadFromData(document)
	if err != nil {
		return nil, err
	}
	if err := spec.Validate(context.Background(), openapi3.AllowExtraSiblingFields()); err != nil {
		return nil, err
	}
	return &Document{spec: spec, seen: map[string]bool{}}, nil
}

// Operations are what is documented, as "GET /path", in order.
func (d *Document) Operations() []string {
	var list []string
	for path, item := range d.spec.Paths.Map() {
		for method := range item.Operations() {
			list = append(list, method+" "+path)
		}
	}
	slices.Sort(list)
	return list
}

// Unseen are the operations of which no answer was looked at that begins with status: "2"
// are all that succeed.
func (d *Document) Unseen(status string) []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.DeleteFunc(d.Operations(), func(operation string) bool {
		for answer := range d.seen {
			if strings.HasPrefix(answer, operation+" "+status) {
				return true
			}
		}
		return false
	})
}

// item returns the documented path that path is, as it is escaped on the wire.
func (d *Document) item(path string) (name string, item *openapi3.PathItem) {
	parts := strings.Split(path, "/")
	for name, item := range d.spec.Paths.Map() {
		if slices.EqualFunc(strings.Split(name, "/"), parts, func(documented, part string) bool {
			return documented == part || strings.HasPrefix(documented, "{") && (part != "" || mayBeEmpty(item, documented))
		}) {
			return name, item
		}
	}
	return "", nil
}

// mayBeEmpty says of a parameter, as {name}, whether its schema takes an empty one.
func mayBeEmpty(item *openapi3.PathItem, parameter string) bool {
	p := item.Parameters.GetByInAndName("path", strings.Trim(parameter, "{}"))
	return p != nil && p.Schema.Value.MinLength == 0 && p.Schema.Value.Type.Is("string")
}

// Check says what is wrong with an answer. body is nil when it was too large to be kept.
func (d *Document) Check(req *http.Request, status int, header http.Header, body []byte) error {
	method := req.Method
	if method == http.MethodHead { // is the answer to GET without its body
		method, body = http.MethodGet, nil
	}
	name, item := d.item(req.URL.EscapedPath())
	if item == nil || item.GetOperation(method) == nil {
		if status < 400 {
			return fmt.Errorf("%s %s: answered %d, and is not documented", req.Method, req.URL.Path, status)
		}
		return d.checkProblem(body)
	}
	d.mu.Lock()
	d.seen[fmt.Sprintf("%s %s %d", method, name, status)] = true
	d.mu.Unlock()
	operation := item.GetOperation(method)
	response := operation.Responses.Status(status)
	if response == nil {
		return fmt.Errorf("%s %s: status %d is not documented: %.200s", method, name, status, body)
	}
	if err := checkHeaders(response.Value, header); err != nil {
		return fmt.Errorf("%s %s %d: %w", method, name, status, err)
	}
	in := openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: withMethod(req, method),
			Route: &routers.Route{Spec: d.spec, Path: name, PathItem: item, Method: method, Operation: operation}},
		Status: status, Header: header, Body: io.NopCloser(bytes.NewReader(body)),
		Options: &openapi3filter.Options{IncludeResponseStatus: true, ExcludeResponseBody: body == nil},
	}
	if err := openapi3filter.ValidateResponse(context.Background(), &in); err != nil {
		return fmt.Errorf("%s %s %d: %w", method, name, status, err)
	}
	return nil
}

// withMethod is what the library looks at of a request.
func withMethod(req *http.Request, method string) *http.Request {
	return &http.Request{Method: method, URL: &url.URL{Path: req.URL.Path}, Header: req.Header}
}

// checkProblem: what no operation answers is refused in the one form of all errors.
func (d *Document) checkProblem(body []byte) error {
	if body == nil {
		return nil
	}
	schema := d.spec.Components.Schemas["Problem"]
	if schema == nil {
		return errors.New("the document has no schema Problem")
	}
	var problem any
	if err := json.Unmarshal(body, &problem); err != nil {
		return fmt.Errorf("an error that is no JSON: %w: %.200s", err, body)
	}
	return schema.Value.VisitJSON(problem, openapi3.EnableJSONSchema2020())
}

// checkHeaders: those that are not HTTP's own are documented.
func checkHeaders(r *openapi3.Response, header http.Header) error {
	for name := range header {
		own := strings.HasPrefix(name, "X-Lockstep-") || name == "Etag" || name == "Retry-After"
		if documented := func(h string) bool { return strings.EqualFold(h, name) }; own && !slices.ContainsFunc(names(r.Headers), documented) {
			return fmt.Errorf("header %s is not documented", name)
		}
	}
	return nil
}

func names(headers openapi3.Headers) (list []string) {
	for name := range headers {
		list = append(list, name)
	}
	return list
}

// Handler reports what is wrong with the answers of next.
func (d *Document) Handler(next http.Handler, report func(error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		kept := &answer{ResponseWriter: w}
		asked := req.Clone(req.Context()) // next may change it
		next.ServeHTTP(kept, req)
		if kept.status == 0 {
			if req.Context().Err() != nil {
				return // nobody was there to be answered
			}
			kept.WriteHeader(http.StatusOK)
		}
		if err := d.Check(asked, kept.status, kept.header, kept.body.text()); err != nil {
			report(err)
		}
	})
}

// answer keeps what goes by.
type answer struct {
	http.ResponseWriter
	status int
	header http.Header // as it was sent
	body   keeper
}

// Unwrap is for http.ResponseController.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

func (a *answer) WriteHeader(status int) {
	if a.status == 0 && status >= 200 {
		a.status, a.header = status, a.Header().Clone()
	}
	a.ResponseWriter.WriteHeader(status)
}

func (a *answer) Write(b []byte) (int, error) {
	if a.status == 0 {
		a.WriteHeader(http.StatusOK)
	}
	a.body.keep(b)
	return a.ResponseWriter.Write(b)
}

// keeper holds a body that is not too large.
type keeper struct {
	buf  bytes.Buffer
	lost bool
}

func (k *keeper) keep(b []byte) {
	if k.lost = k.lost || k.buf.Len()+len(b) > maxBody; k.lost {
		k.buf = bytes.Buffer{}
		return
	}
	k.buf.Write(b)
}

// text is the body; nil if it was too large.
func (k *keeper) text() []byte {
	if k.lost {
		return nil
	}
	return append([]byte{}, k.buf.Bytes()...)
}

// Transport reports what is wrong with the answers that come through next, when they have
// been read to their end.
func (d *Document) Transport(next http.RoundTripper, report func(error)) http.RoundTripper {
	return roundTripper(func(req *http.Request) (*http.Response, error) {
		res, err := next.RoundTrip(req)
		if err == nil {
			res.Body = &body{ReadCloser: res.Body, end: func(text []byte) {
				if err := d.Check(req, res.StatusCode, res.Header, text); err != nil {
					report(err)
				}
			}}
		}
		return res, err
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// body keeps what is read of a response.
type body struct {
	io.ReadCloser
	kept keeper
	end  func([]byte)
	once sync.Once
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.kept.keep(p[:n])
	if err == io.EOF {
		b.once.Do(func() { b.end(b.kept.text()) })
	}
	return n, err
}
