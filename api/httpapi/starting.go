package httpapi

import (
	"net/http"
	"sync/atomic"
)

// Starting is the handler of a node that has no API yet. The process is alive, so
// /healthz says so; everything else answers 503 until Open hands over to the real
// handler.
type Starting struct {
	handler atomic.Pointer[http.Handler]
}

// Open hands all requests from now on to h.
func (s *Starting) Open(h http.Handler) { s.handler.Store(&h) }

// ServeHTTP implements http.Handler.
func (s *Starting) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if h := s.handler.Load(); h != nil {
		(*h).ServeHTTP(w, r)
		return
	}
	if r.URL.Path == "/healthz" {
		alive(w, r)
		return
	}
	fail(w, problem{
		Status: http.StatusServiceUnavailable, Code: "starting",
		Detail: "this node has only just started",
	})
}
