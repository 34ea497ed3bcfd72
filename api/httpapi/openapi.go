package httpapi

import (
	_ "embed"
	"net/http"
)

// openapiDocument describes the API. A test compares it with the routes.
//
//go:embed openapi.json
var openapiDocument []byte

func (a *api) openapi(w http.ResponseWriter, _ *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write(openapiDocument) // a client that is gone needs no answer
}
