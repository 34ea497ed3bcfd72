package router

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/lockstepkv/lockstep/api/clientmem"
	"github.com/lockstepkv/lockstep/resp"
)

// counters are the totals of INFO's stats section.
type counters struct {
	connections   atomic.Int64
	rejectedConns atomic.Int64
	hits, misses  atomic.Int64
	netIn, netOut atomic.Int64
	outputCuts    atomic.Int64
}

// maxErrorCodes bounds the distinct error codes that are counted; commands
// answer a handful, and a client must not be able to make more.
const maxErrorCodes = 128

// errorStats counts error replies by their code.
type errorStats struct {
	mu    sync.Mutex
	codes map[string]int64 // guarded by mu
	total atomic.Int64
}

func (e *errorStats) count(v resp.Value) {
	e.total.Add(1)
	code := resp.Error(v.Str).Code()
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.codes == nil {
		e.codes = make(map[string]int64)
	}
	if _, known := e.codes[code]; known || len(e.codes) < maxErrorCodes {
		e.codes[code]++
	}
}

func (e *errorStats) reset() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.codes = nil
	e.total.Store(0)
}

type codeCount struct {
	code  string
	count int64
}

func (e *errorStats) list() []codeCount {
	e.mu.Lock()
	defer e.mu.Unlock()
	out := make([]codeCount, 0, len(e.codes))
	for c, n := range e.codes {
		out = append(out, codeCount{c, n})
	}
	slices.SortFunc(out, func(a, b codeCount) int { return strings.Compare(a.code, b.code) })
	return out
}

// collector shows the Router's own counters to Prometheus. They are read when
// scraped, so that a command pays for one set of counters only.
type collector struct{ r *Router }

type metricDescs struct {
	calls, rejected, failed, latency, errors *prometheus.Desc
	clients, hits, misses                    *prometheus.Desc
	failedLogins, refusedLogins              *prometheus.Desc
	unread, cuts                             *prometheus.Desc
	held, evicted, refused                   *prometheus.Desc
}

func descs() metricDescs {
	d := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("lockstep_"+name, help, labels, nil)
	}
	return metricDescs{
		calls:    d("commands_total", "Commands run, by command.", "cmd"),
		rejected: d("commands_rejected_total", "Commands refused before they ran, by command.", "cmd"),
		failed:   d("commands_failed_total", "Commands that answered an error, by command.", "cmd"),
		latency:  d("command_duration_seconds", "Time from routing to reply, by command.", "cmd"),
		errors:   d("error_replies_total", "Error replies, by code.", "code"),
		clients:  d("connected_clients", "Client connections."),
		hits:     d("keyspace_hits_total", "GETs that found their key."),
		misses:   d("keyspace_misses_total", "GETs that did not find their key."),

		failedLogins:  d("failed_logins_total", "Wrong passwords, by protocol.", "protocol"),
		refusedLogins: d("refused_logins_total", "Passwords not looked at, after too many failures of an address, by protocol.", "protocol"),
		unread:        d("client_output_bytes", "Replies kept for clients that have not read them yet."),
		held:          d("clients_memory_bytes", "What clients hold, by what it is for: connections, query, reply, unread (replies), queue (MULTI), watch, body (HTTP), stream, push (what they are told unasked).", "kind"),
		evicted:       d("evicted_clients_total", "Clients closed because those together held more than maxmemory-clients."),
		refused:       d("clients_memory_refused_total", "Requests refused because clients held as much as maxmemory-clients."),
		cuts:          d("client_output_limit_disconnections_total", "Clients cut off because they did not read their replies."),
	}
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	d := descs()
	for _, desc := range []*prometheus.Desc{
		d.calls, d.rejected, d.failed, d.latency, d.errors, d.clients, d.hits, d.misses, d.failedLogins, d.refusedLogins, d.unread, d.cuts,
		d.held, d.evicted, d.refused,
	} {
		ch <- desc
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	d := descs()
	counter := func(desc *prometheus.Desc, n int64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, float64(n), labels...)
	}
	for _, p := range c.r.all {
		st := p.stats
		calls, rejected := st.calls.Load(), st.rejected.Load()
		if calls == 0 && rejected == 0 {
			continue
		}
		counter(d.calls, calls, p.name)
		counter(d.rejected, rejected, p.name)
		counter(d.failed, st.failed.Load(), p.name)
		c.histogram(ch, d.latency, p)
	}
	for _, e := range c.r.errs.list() {
		counter(d.errors, e.count, e.code)
	}
	for kind, n := range c.r.logins.failed {
		counter(d.failedLogins, n.Load(), kind)
		counter(d.refusedLogins, c.r.logins.turned[kind].Load(), kind)
	}
	counter(d.hits, c.r.counters.hits.Load())
	counter(d.misses, c.r.counters.misses.Load())
	counter(d.cuts, c.r.counters.outputCuts.Load())
	counter(d.evicted, c.r.clients.Evicted())
	counter(d.refused, c.r.clients.Refused())
	mem := c.r.clients.Figures()
	for kind, n := range mem.ByName() {
		ch <- prometheus.MustNewConstMetric(d.held, prometheus.GaugeValue, float64(n), kind)
	}
	ch <- prometheus.MustNewConstMetric(d.unread, prometheus.GaugeValue, float64(mem.Of[clientmem.Unread]))
	ch <- prometheus.MustNewConstMetric(d.clients, prometheus.GaugeValue, float64(c.r.ClientCount()))
}

func (c *collector) histogram(ch chan<- prometheus.Metric, desc *prometheus.Desc, p *plan) {
	counts := p.stats.counts()
	buckets := make(map[float64]uint64, latencyBuckets)
	var seen uint64
	for i, n := range counts {
		seen += uint64(n)
		if i < latencyBuckets-1 {
			buckets[float64(int64(1)<<i)/1e6] = seen
		}
	}
	total := float64(p.stats.waited.Load()) / 1e6
	ch <- prometheus.MustNewConstHistogram(desc, seen, total, buckets, p.name)
}

func (c *counters) reset() {
	for _, n := range []*atomic.Int64{&c.connections, &c.rejectedConns, &c.hits, &c.misses, &c.netIn, &c.netOut, &c.outputCuts} {
		n.Store(0)
	}
}
