package shard

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/lockstepkv/lockstep/shard/view"
	"github.com/lockstepkv/lockstep/transport"
)

func electionOutcomes() []string { return []string{"called", "declined", "started", "won"} }

// Election counts one of electionOutcomes.
func (m *groupMetrics) Election(outcome string) {
	m.node.operator.elections.WithLabelValues(m.label, outcome).Inc()
}

// operatorMetrics tell how elections, snapshots, the log and the other nodes are.
type operatorMetrics struct {
	elections   *prometheus.CounterVec
	snapshotAge *prometheus.GaugeVec
	logBytes    *prometheus.GaugeVec
	logCache    *prometheus.GaugeVec
	cacheDamage *prometheus.CounterVec
	followerLag *prometheus.GaugeVec
}

func newOperatorMetrics(reg prometheus.Registerer) operatorMetrics {
	gauge := func(name, help string, labels ...string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: "lockstep", Subsystem: "shard", Name: name, Help: help}, labels)
	}
	m := operatorMetrics{
		elections: prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "lockstep", Subsystem: "shard", Name: "elections_total",
			Help: "Elections of this node: called because the leader was silent, declined by the others before that, started in whatever way, won."},
			[]string{"shard", "outcome"}),
		snapshotAge: gauge("snapshot_age_seconds", "How long ago the newest snapshot was taken.", "shard"),
		logBytes:    gauge("log_bytes", "Size of the entries in the log.", "shard"),
		logCache:    gauge("log_cache_bytes", "Memory that the newest entries of the log take, a part of --log-cache.", "shard"),
		cacheDamage: prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "lockstep", Subsystem: "shard", Name: "log_cache_damaged_total",
			Help: "Entries of the log that had changed by themselves in memory, and were read from the disk instead."}, []string{"shard"}),
		followerLag: gauge("follower_lag_entries", "Entries that a follower has yet to apply, as this shard's leader was told within the last second.",
			"shard", "peer"),
	}
	reg.MustRegister(m.elections, m.snapshotAge, m.logBytes, m.logCache, m.cacheDamage, m.followerLag)
	return m
}

// diskMetrics tell what a node does for the sake of its disk.
type diskMetrics struct {
	slow, room prometheus.Gauge
	givenAway  *prometheus.CounterVec
	refused    *prometheus.CounterVec
	paused     *prometheus.CounterVec
}

func newDiskMetrics(reg prometheus.Registerer) diskMetrics {
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "lockstep", Subsystem: "disk", Name: name, Help: help})
	}
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "lockstep", Subsystem: "shard", Name: name, Help: help},
			append([]string{"shard"}, labels...))
	}
	m := diskMetrics{
		slow:      gauge("slow", "1 while a write of the log lasts too long for a leader, and for a while after."),
		room:      gauge("full", "0: there is room; 1: less than --disk-reserve is free, and writes that grow are refused; 2: less than a quarter of it is, and only what frees is logged."),
		givenAway: counter("leadership_given_away_total", "How often this node gave the leadership to another for the sake of its disk.", "reason"),
		refused:   counter("no_room_refused_total", "Commands that this node refused because disks were full."),
		paused:    counter("snapshot_paused_seconds_total", "Time that the writing of snapshots has waited, so that the log gets its share of the disk."),
	}
	reg.MustRegister(m.slow, m.room, m.givenAway, m.refused, m.paused)
	return m
}

// GivenAway implements slowdisk.Figures.
func (m *groupMetrics) GivenAway(reason string) {
	m.node.disk.givenAway.WithLabelValues(m.label, reason).Inc()
}

func (m *groupMetrics) refused() { m.node.disk.refused.WithLabelValues(m.label).Inc() }

// watchPeers shows connections between nodes, read when they are asked for.
func watchPeers(reg prometheus.Registerer, net *transport.Transport, self string, current *view.Current) {
	reg.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Namespace: "lockstep", Name: "peer_connections_displaced_total",
		Help: "Connections of nodes that made room for newer ones of the same node, which has more than it needs."},
		func() float64 { return float64(net.Crowded()) }))
	reg.MustRegister(peerGauges{net, self, current})
}

// peerGauges tell of the connection to each peer of the view in force.
type peerGauges struct {
	net     *transport.Transport
	self    string
	current *view.Current
}

var peerConnected = prometheus.NewDesc("lockstep_peer_connected", "1 while this node is connected to a peer.", []string{"peer"}, nil)

// Describe implements prometheus.Collector.
func (p peerGauges) Describe(ch chan<- *prometheus.Desc) { ch <- peerConnected }

// Collect implements prometheus.Collector.
func (p peerGauges) Collect(ch chan<- prometheus.Metric) {
	for _, m := range p.current.Get().Peers() {
		if m.ID != p.self {
			ch <- prometheus.MustNewConstMetric(peerConnected, prometheus.GaugeValue, number(p.net.Health(m.ID).Connected), m.ID)
		}
	}
}

func number(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// observeForOperators sets the gauges of operatorMetrics.
func (g *Group) observeForOperators() {
	m, l := g.metrics.node.operator, g.metrics.label
	m.logBytes.WithLabelValues(l).Set(float64(g.log.BytesAfter(0)))
	m.logCache.WithLabelValues(l).Set(float64(g.log.CacheHeld()))
	damaged := g.log.CacheDamaged()
	m.cacheDamage.WithLabelValues(l).Add(float64(damaged - g.metrics.cacheDamagedShown))
	g.metrics.cacheDamagedShown = damaged
	if at := g.compactor.Millis(); at > 0 {
		m.snapshotAge.WithLabelValues(l).Set(max(time.Since(time.UnixMilli(at)).Seconds(), 0))
	}
	for _, peer := range g.voters.lately().others {
		lag, known := g.node.lagOf(peer, g)
		if !g.Serving() || !known {
			m.followerLag.DeleteLabelValues(l, peer)
			continue
		}
		m.followerLag.WithLabelValues(l, peer).Set(float64(lag))
	}
}

// lagOf tells how many entries a peer has applied less than this node's replica.
func (n *Node) lagOf(peer string, g *Group) (entries uint64, known bool) {
	n.mu.RLock()
	defer n.mu.RUnlock()
	groups := n.peers[peer].Groups
	if int(g.id) >= len(groups) {
		return 0, false
	}
	applied := g.fsm.Applied()
	return applied - min(applied, groups[g.id].Applied), true
}

// Role says what a replica is for its shard.
func (i GroupInfo) Role(node string) string {
	switch {
	case i.Diverged:
		return "diverged"
	case i.Repair:
		return "repairing"
	case i.Serving:
		return "leader"
	case i.Leader == node:
		return "starting to lead"
	case i.Leader == "":
		return "without leader"
	}
	return "follower"
}
