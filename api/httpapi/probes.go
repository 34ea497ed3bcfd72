package httpapi

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

const (
	// MaxProbeConns is how many connections a listener for Probes needs.
	MaxProbeConns = 16
	// maxScrapes of the metrics are made at a time; others get 503.
	maxScrapes = 4
)

// Probes returns the handler of a listener for supervisors and Prometheus: /healthz,
// /readyz and /metrics, and nothing else. It asks for no password, tells nothing that is
// secret, and works while the node starts.
func Probes(g prometheus.Gatherer, ready func() error) http.Handler {
	metrics := promhttp.HandlerFor(g, promhttp.HandlerOpts{MaxRequestsInFlight: maxScrapes})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			fail(w, problem{Status: http.StatusMethodNotAllowed, Code: "method_not_allowed", Detail: "this listener takes GET and HEAD"})
			return
		}
		switch r.URL.Path {
		case "/healthz":
			alive(w, r)
		case "/readyz":
			tellReady(w, ready, nil)
		case "/metrics":
			metrics.ServeHTTP(w, r)
		default:
			fail(w, problem{Status: http.StatusNotFound, Code: "no_such_route",
				Detail: "this listener has /healthz, /readyz and /metrics; the API is at --http"})
		}
	})
}

// tellReady answers /readyz.
func tellReady(w http.ResponseWriter, ready func() error, notices func() []string) {
	if err := ready(); err != nil {
		fail(w, problem{Status: http.StatusServiceUnavailable, Code: "not_ready", Detail: err.Error()})
		return
	}
	out := map[string]any{"status": "ready"}
	if notices != nil {
		if list := notices(); len(list) > 0 {
			out["notices"] = list
		}
	}
	reply(w, http.StatusOK, out)
}
