package httpapi

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestStartingAnswersProbesOnly(t *testing.T) {
	var s Starting
	get := func(path string) int {
		w := httptest.NewRecorder()
		s.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		return w.Code
	}
	for path, want := range map[string]int{"/healthz": 200, "/readyz": 503, "/v1/keys/k": 503, "/metrics": 503} {
		if got := get(path); got != want {
			t.Errorf("%s while starting: %d, want %d", path, got, want)
		}
	}
	s.Open(http.NotFoundHandler())
	if got := get("/readyz"); got != 404 {
		t.Errorf("after Open: %d from the starting handler", got)
	}
}
