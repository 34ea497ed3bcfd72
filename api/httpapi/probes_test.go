package httpapi

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// Probes need no password and reach nothing else.
func TestProbes(t *testing.T) {
	reg := prometheus.NewRegistry()
	reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "probed"}, func() float64 { return 1 }))
	var notReady error
	h := Probes(reg, func() error { return notReady })
	checked := document(t).Handler(h, func(err error) { t.Error(err) })
	do := func(method, path string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		checked.ServeHTTP(w, httptest.NewRequest(method, path, nil))
		return w
	}
	for path, want := range map[string]string{"/healthz": `"ok"`, "/readyz": `"ready"`, "/metrics": "probed 1"} {
		if w := do("GET", path); w.Code != 200 || !strings.Contains(w.Body.String(), want) {
			t.Errorf("GET %s: %d %s", path, w.Code, w.Body)
		}
		if w := do("HEAD", path); w.Code != 200 {
			t.Errorf("HEAD %s: %d", path, w.Code)
		}
		if p := checkProblem(t, do("POST", path)); p.Code != "method_not_allowed" {
			t.Errorf("POST %s: %+v", path, p)
		}
	}
	for _, path := range []string{"/", "/v1/keys/a", "/v1/cluster", "/openapi.json", "/debug/pprof/", "/metrics/", "/healthz/../v1/cluster"} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", path, nil)) // the document is of another listener
		if p := checkProblem(t, w); p.Code != "no_such_route" {
			t.Errorf("GET %s: %+v", path, p)
		}
	}
	notReady = errors.New("not yet")
	if p := checkProblem(t, do("GET", "/readyz")); p.Status != http.StatusServiceUnavailable || p.Code != "not_ready" {
		t.Errorf("%+v", p)
	}
}
