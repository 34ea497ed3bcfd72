package router

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/lockstepkv/lockstep/api/clientmem"
	"github.com/lockstepkv/lockstep/api/stats"
)

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
	counts := c.r.stats
	for _, cmd := range counts.Commands() {
		calls, rejected := cmd.Calls.Load(), cmd.Rejected.Load()
		if calls == 0 && rejected == 0 {
			continue
		}
		counter(d.calls, calls, cmd.Name())
		counter(d.rejected, rejected, cmd.Name())
		counter(d.failed, cmd.Failed.Load(), cmd.Name())
		histogram(ch, d.latency, cmd)
	}
	for _, e := range counts.Errors.List() {
		counter(d.errors, e.Count, e.Code)
	}
	for kind, n := range c.r.logins.failed {
		counter(d.failedLogins, n.Load(), kind)
		counter(d.refusedLogins, c.r.logins.turned[kind].Load(), kind)
	}
	counter(d.hits, counts.Hits.Load())
	counter(d.misses, counts.Misses.Load())
	counter(d.cuts, counts.OutputCuts.Load())
	counter(d.evicted, c.r.clients.Evicted())
	counter(d.refused, c.r.clients.Refused())
	mem := c.r.clients.Figures()
	for kind, n := range mem.ByName() {
		ch <- prometheus.MustNewConstMetric(d.held, prometheus.GaugeValue, float64(n), kind)
	}
	ch <- prometheus.MustNewConstMetric(d.unread, prometheus.GaugeValue, float64(mem.Of[clientmem.Unread]))
	ch <- prometheus.MustNewConstMetric(d.clients, prometheus.GaugeValue, float64(c.r.ClientCount()))
}

func histogram(ch chan<- prometheus.Metric, desc *prometheus.Desc, c *stats.Command) {
	counts := c.Histogram()
	buckets := make(map[float64]uint64, stats.Buckets)
	var seen uint64
	for i, n := range counts {
		seen += uint64(n)
		if i < stats.Buckets-1 {
			buckets[float64(int64(1)<<i)/1e6] = seen
		}
	}
	total := float64(c.Waited.Load()) / 1e6
	ch <- prometheus.MustNewConstHistogram(desc, seen, total, buckets, c.Name())
}
