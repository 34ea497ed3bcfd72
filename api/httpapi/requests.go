package httpapi

import (
	"net/http"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
)

// counted counts the answers of next by method and status.
func counted(next http.Handler, reg prometheus.Registerer) http.Handler {
	answers := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "lockstep", Name: "http_requests_total",
		Help: "HTTP requests answered, by method and status."}, []string{"method", "status"})
	reg.MustRegister(answers)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		status := &statusWriter{ResponseWriter: w, status: http.StatusOK}
		defer func() { answers.WithLabelValues(methodLabel(r.Method), strconv.Itoa(status.status)).Inc() }()
		next.ServeHTTP(status, r)
	})
}

// methodLabel bounds what clients can make labels of.
func methodLabel(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPut, http.MethodPost, http.MethodDelete, http.MethodOptions:
		return method
	}
	return "other"
}

// statusWriter notes the status.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap is for http.ResponseController.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
