package main

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sys/unix"

	"github.com/lockstepkv/lockstep/api/httpapi"
	"github.com/lockstepkv/lockstep/api/router"
	"github.com/lockstepkv/lockstep/internal/bytesize"
	"github.com/lockstepkv/lockstep/internal/config"
)

// limits are the settings that a cluster's nodes ought to have in common, as
// `cluster status` compares them: those in force, after CONFIG SET.
func (s *server) limits() map[string]string {
	set := s.settings()
	if r := s.router.Load(); r != nil {
		set = r.Settings()
	}
	return limitsOf(s.cfg, set)
}

func limitsOf(c config.Config, set router.Settings) map[string]string {
	size := bytesize.Format
	return map[string]string{
		"maxmemory-clients": size(set.MaxMemoryClients),
		"maxclients":        strconv.Itoa(set.MaxClients), "http-max-connections": strconv.Itoa(c.Requests.MaxHTTPConns), "max-value-size": size(c.Requests.MaxValueBytes),
		"once-memory": size(c.Requests.OnceBytes), "once-retention": config.FormatDuration(c.Requests.OnceRetention),
		"request-timeout": config.FormatDuration(c.Requests.Timeout), "snapshot-log-bytes": size(c.Raft.SnapshotLogBytes), "log-cache": size(c.Raft.LogCacheBytes),
		"max-clock-offset": config.FormatDuration(c.Raft.MaxClockOffset), "heartbeat-timeout": config.FormatDuration(c.Raft.HeartbeatTimeout),
		"election-timeout": config.FormatDuration(c.Raft.ElectionTimeout), "lease-reads": strconv.FormatBool(c.Raft.LeaseReads),
		"lease-duration": config.FormatDuration(c.Raft.LeaseDuration),
	}
}

// nodeCollector shows what belongs to the process and its machine. It is read when scraped.
type nodeCollector struct {
	s                                    *server
	build, limit, conns, disk, dataBytes *prometheus.Desc

	refused, displaced, stalled, failures, paused, discarded *prometheus.Desc
}

func newNodeCollector(s *server) *nodeCollector {
	d := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("lockstep_"+name, help, labels, nil)
	}
	return &nodeCollector{
		s:         s,
		build:     d("build_info", "Always 1; the labels say what runs.", "version", "go", "raft", "commit"),
		limit:     d("limit", "Limits in force; 0: none. Sizes are in bytes.", "limit"),
		conns:     d("connections", "Open connections, by listener.", "listener"),
		disk:      d("disk_bytes", "The file system of the data directory.", "kind"),
		dataBytes: d("data_dir_bytes", "Size of the files in the data directory."),
		refused:   d("connections_refused_total", "Connections that found no room, by listener.", "listener"),
		displaced: d("connections_displaced_total", "Connections that had no request, or had not shown who they are, and made room for others, by listener.", "listener"),
		stalled:   d("http_stalled_total", "HTTP requests that made no progress and were ended.", "what"),
		discarded: d("discarded_bytes_total", "Bytes of refused requests that were read and thrown away, so that the client could read why, by listener.", "listener"),
		failures:  d("accept_failures_total", "Times that no connection could be accepted, as when open files run out, by listener.", "listener"),
		paused:    d("accept_paused", "1 while no connection can be accepted, by listener.", "listener"),
	}
}

// Describe implements prometheus.Collector.
func (c *nodeCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{c.build, c.limit, c.conns, c.disk, c.dataBytes, c.refused, c.displaced, c.stalled, c.failures, c.paused, c.discarded} {
		ch <- desc
	}
}

// Collect implements prometheus.Collector.
func (c *nodeCollector) Collect(ch chan<- prometheus.Metric) {
	gauge := func(desc *prometheus.Desc, n float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, n, labels...)
	}
	v := currentVersion()
	gauge(c.build, 1, v.Version, v.Go, v.Raft, v.Commit)
	set := c.s.settings()
	if r := c.s.router.Load(); r != nil {
		set = r.Settings()
		gauge(c.conns, float64(c.s.resp.Connections()), "resp")
		ch <- prometheus.MustNewConstMetric(c.discarded, prometheus.CounterValue, float64(c.s.resp.Discarded()), "resp")
	}
	if n := c.s.node.get(); n != nil {
		gauge(c.conns, float64(n.PeerConnections()), "peer")
		ch <- prometheus.MustNewConstMetric(c.displaced, prometheus.CounterValue, float64(n.DisplacedPeers()), "peer")
	}
	c.collectListeners(ch)
	gauge(c.limit, float64(c.s.openFiles), "open-files")
	gauge(c.limit, float64(c.s.cfg.Requests.MaxHTTPConns), "http-max-connections")
	gauge(c.limit, float64(set.MaxMemory), "maxmemory")
	gauge(c.limit, float64(set.MaxClients), "maxclients")
	gauge(c.limit, float64(set.MaxMemoryClients), "maxmemory-clients")
	gauge(c.limit, float64(set.ClientOutputLimit), "client-output-limit")
	gauge(c.limit, float64(c.s.cfg.Requests.MaxValueBytes), "max-value-size")
	gauge(c.limit, float64(c.s.cfg.Requests.OnceBytes), "once-memory")
	gauge(c.limit, float64(c.s.cfg.Raft.SnapshotLogBytes), "snapshot-log-bytes")
	gauge(c.limit, float64(c.s.cfg.Raft.DiskReserve), "disk-reserve")
	gauge(c.limit, float64(c.s.cfg.Raft.LogCacheBytes), "log-cache")
	var disk unix.Statfs_t
	if err := unix.Statfs(c.s.cfg.Node.DataDir, &disk); err == nil {
		gauge(c.disk, float64(disk.Blocks)*float64(disk.Bsize), "size")
		gauge(c.disk, float64(disk.Bavail)*float64(disk.Bsize), "free")
	}
	gauge(c.dataBytes, float64(dirBytes(c.s.cfg.Node.DataDir)))
}

// dirBytes sums the sizes of files; those that go meanwhile count nothing.
func dirBytes(dir string) (bytes int64) {
	_ = filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return nil
		}
		if info, err := e.Info(); err == nil {
			bytes += info.Size()
		}
		return nil
	})
	return bytes
}

// collectListeners is Collect for what the listeners count.
func (c *nodeCollector) collectListeners(ch chan<- prometheus.Metric) {
	send := func(desc *prometheus.Desc, kind prometheus.ValueType, n float64, label string) {
		ch <- prometheus.MustNewConstMetric(desc, kind, n, label)
	}
	for name, l := range c.s.accepting {
		paused := 0.0
		if l.Paused() {
			paused = 1
		}
		send(c.failures, prometheus.CounterValue, float64(l.Failures()), name)
		send(c.paused, prometheus.GaugeValue, paused, name)
	}
	for name, srv := range map[string]*httpapi.Server{"http": c.s.http, "metrics": c.s.probes} {
		if srv == nil {
			continue
		}
		counts := srv.Counts()
		send(c.conns, prometheus.GaugeValue, float64(srv.Connections()), name)
		send(c.refused, prometheus.CounterValue, float64(counts.Refused), name)
		send(c.displaced, prometheus.CounterValue, float64(counts.Displaced), name)
		send(c.discarded, prometheus.CounterValue, float64(counts.Discarded), name)
		if name == "http" {
			send(c.stalled, prometheus.CounterValue, float64(counts.StalledBodies), "body")
			send(c.stalled, prometheus.CounterValue, float64(counts.StalledAnswers), "answer")
		}
	}
}

// differences lists the limits and versions that are not the same on all nodes.
func (c clusterStatus) differences() (list []string) {
	values := map[string]map[string][]string{} // limit -> value -> nodes
	note := func(name, value, node string) {
		if values[name] == nil {
			values[name] = map[string][]string{}
		}
		values[name][value] = append(values[name][value], node)
	}
	for _, n := range c.Nodes {
		if n.Version == "" {
			continue // not heard of yet
		}
		note("version", n.Version, n.ID)
		for name, value := range n.Limits {
			note(name, value, n.ID)
		}
	}
	for _, name := range sortedKeys(values) {
		if len(values[name]) < 2 {
			continue
		}
		text := name + " differs:"
		for _, value := range sortedKeys(values[name]) {
			text += fmt.Sprintf(" %s on %v", value, values[name][value])
		}
		list = append(list, text)
	}
	return list
}
