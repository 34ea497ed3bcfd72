package httpapi

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"

	"github.com/gorilla/mux"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/lockstepkv/lockstep/api/router"
)

// Options are the parts that the handler is made of.
type Options struct {
	Router   *router.Router
	Gatherer prometheus.Gatherer // for /metrics; nil: an empty page
	// Registerer gets the metrics of requests. Nil: there are none.
	Registerer prometheus.Registerer
	Ready      func() error    // nil error: every shard of this node serves
	Notices    func() []string // what an operator should know though the node is ready; nil: nothing
	// Backup writes a shard as an RDB file. Nil: backups are refused.
	Backup func(ctx context.Context, shard int, w io.Writer) error
	// Digest hashes this node's replica of a shard. Nil: digests are refused.
	Digest func(shard int) (Digest, error)

	MaxValueBytes int64 // default 64 MiB
	// MaxHeldBytes bounds the bodies of all requests together; default, and least, 4 times
	// the largest value and a third more than the largest body.
	MaxHeldBytes int64
	// AllowedHosts are the names, besides localhost, under which this node answers
	// while it has no password.
	AllowedHosts []string
	Logger       *slog.Logger
}

// ErrNoRouter is returned by New.
var ErrNoRouter = errors.New("httpapi: no router")

// maxOverhead is what a JSON body may have beside its value.
const maxOverhead = 1 << 20

// api answers requests.
type api struct {
	router  *router.Router
	ready   func() error
	notices func() []string
	backup  func(ctx context.Context, shard int, w io.Writer) error
	digest  func(shard int) (Digest, error)
	metrics http.Handler
	log     *slog.Logger
	maxRaw  int64 // of an octet-stream body
	maxJSON int64 // six bytes of JSON may stand for one of the value
	held    *budget
	hosts   map[string]bool // AllowedHosts
}

// route is one call of the API.
type route struct {
	method, path string
	open         bool // needs no password
	serve        func(http.ResponseWriter, *http.Request)
}

// New returns the handler of all of the API.
func New(o Options) (http.Handler, error) {
	if o.Router == nil {
		return nil, ErrNoRouter
	}
	if o.MaxValueBytes <= 0 {
		o.MaxValueBytes = 64 << 20
	}
	if o.Ready == nil {
		o.Ready = func() error { return nil }
	}
	if o.Notices == nil {
		o.Notices = func() []string { return nil }
	}
	if o.Gatherer == nil {
		o.Gatherer = prometheus.NewRegistry()
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	a := &api{
		router: o.Router, ready: o.Ready, notices: o.Notices, backup: o.Backup, digest: o.Digest, log: o.Logger,
		metrics: promhttp.HandlerFor(o.Gatherer, promhttp.HandlerOpts{}),
		maxRaw:  o.MaxValueBytes, maxJSON: 6*o.MaxValueBytes + maxOverhead, hosts: make(map[string]bool, len(o.AllowedHosts)),
	}
	for _, name := range o.AllowedHosts {
		a.hosts[hostName(name)] = true
	}
	a.held = newBudget(bodyBudget(o.MaxHeldBytes, o.MaxValueBytes, a.maxJSON))
	if o.Registerer != nil {
		a.held.register(o.Registerer)
		return counted(a.handler(), o.Registerer), nil
	}
	return a.handler(), nil
}

// bodyBudget is the memory for bodies. The largest one may take three quarters, so that it
// never stands in the way of all others.
func bodyBudget(asked, value, largest int64) int64 {
	return max(asked, largest/3*4+4, 4*(value+maxOverhead))
}

func (a *api) routes() []route {
	return []route{
		{"GET", "/v1/keys", false, a.listKeys},
		{"PUT", keyPath, false, a.putKey},
		{"GET", keyPath, false, a.getKey},
		{"DELETE", keyPath, false, a.deleteKey},
		{"PATCH", keyPath, false, a.patchKey},
		{"POST", "/v1/keys/{key}/incr", false, a.incrKey},
		{"POST", "/v1/keys/{key}/push", false, a.pushKey},
		{"POST", "/v1/keys/{key}/pop", false, a.popKey},
		{"POST", "/v1/commands", false, a.commands},
		{"POST", "/v1/transactions", false, a.transaction},
		{"GET", "/v1/locks", false, a.listLocks},
		{"POST", "/v1/locks/{key}", false, a.acquireLock},
		{"PUT", "/v1/locks/{key}", false, a.renewLock},
		{"DELETE", "/v1/locks/{key}", false, a.releaseLock},
		{"GET", "/v1/locks/{key}", false, a.readLock},
		{"POST", "/v1/fences", false, a.raiseFences},
		{"GET", "/v1/cluster", false, a.cluster},
		{"POST", "/v1/shards/{id}/leader", false, a.moveLeader},
		{"GET", "/v1/shards/{id}/backup", false, a.backupShard},
		{"GET", "/v1/shards/{id}/digest", false, a.digestShard},
		{"GET", "/healthz", true, a.healthz},
		{"GET", "/readyz", true, a.readyz},
		{"GET", "/metrics", false, a.metrics.ServeHTTP},
		{"GET", "/openapi.json", true, a.openapi},
	}
}

// pattern is the path as the router takes it: a key may be empty, a name may not.
func pattern(path string) string {
	if rest, ok := strings.CutPrefix(path, keyPath); ok {
		return "/v1/keys/{key:[^/]*}" + rest
	}
	return path
}

func (a *api) handler() http.Handler {
	m := mux.NewRouter().UseEncodedPath().SkipClean(true)
	allowed := make(map[string][]string)
	var paths []string
	for _, rt := range a.routes() {
		methods := []string{rt.method}
		if rt.method == http.MethodGet {
			methods = append(methods, http.MethodHead)
		}
		serve := plain(rt, http.HandlerFunc(rt.serve))
		if !rt.open {
			serve = a.authenticated(serve)
		}
		m.Handle(pattern(rt.path), serve).Methods(methods...)
		if allowed[rt.path] == nil {
			paths = append(paths, rt.path)
		}
		allowed[rt.path] = append(allowed[rt.path], methods...)
	}
	for _, path := range paths {
		allow := slices.Sorted(slices.Values(allowed[path]))
		m.HandleFunc(pattern(path), func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Allow", strings.Join(allow, ", "))
			fail(w, problem{Status: http.StatusMethodNotAllowed, Code: "method_not_allowed",
				Detail: "this resource takes " + strings.Join(allow, ", ")})
		})
	}
	m.NotFoundHandler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fail(w, problem{Status: http.StatusNotFound, Code: "no_such_route", Detail: "there is nothing at this path; see /openapi.json"})
	})
	return a.foreign(m)
}

// session starts the session of one request.
func (a *api) session(r *http.Request, opts ...router.SessionOption) *router.Session {
	return a.router.NewSession(r.RemoteAddr, router.KindHTTP, append(opts, router.WithAuthenticated())...)
}

func (a *api) healthz(w http.ResponseWriter, r *http.Request) { alive(w, r) }

func alive(w http.ResponseWriter, _ *http.Request) {
	reply(w, http.StatusOK, map[string]string{"status": "ok"})
}

func (a *api) readyz(w http.ResponseWriter, _ *http.Request) { tellReady(w, a.ready, a.notices) }
