package shard

import (
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/lockstepkv/lockstep/fsm/lock"
	"github.com/lockstepkv/lockstep/shard/slowdisk"
	"github.com/lockstepkv/lockstep/store"
)

// latencyBuckets go from 50 microseconds to 13 seconds.
var latencyBuckets = prometheus.ExponentialBuckets(50e-6, 2, 19)

// nodeMetrics are the collectors of a node's shards. The phases of a write are
// told apart: it waits (queue), and its log entry is written by the leader (disk),
// sent to and flushed by the others (replicate) and applied (apply). entry is the
// last three together.
//
// 39 fields: a collector each.
type nodeMetrics struct {
	entrySeconds                   *prometheus.HistogramVec
	entryUnits                     *prometheus.HistogramVec
	entryBatches                   *prometheus.CounterVec
	queueSeconds                   *prometheus.HistogramVec
	replicateSecs                  *prometheus.HistogramVec
	applySeconds                   *prometheus.HistogramVec
	diskSeconds                    *prometheus.HistogramVec
	diskBytes                      *prometheus.CounterVec
	roundSeconds                   *prometheus.HistogramVec
	snapSeconds                    *prometheus.HistogramVec
	snapBytes                      *prometheus.GaugeVec
	freezeSeconds                  *prometheus.HistogramVec
	serving                        *prometheus.GaugeVec
	term                           *prometheus.GaugeVec
	applied                        *prometheus.GaugeVec
	ageSeconds                     *prometheus.GaugeVec
	keys                           *prometheus.GaugeVec
	usedBytes                      *prometheus.GaugeVec
	evicted                        *prometheus.CounterVec
	expired                        *prometheus.CounterVec
	locksHeld                      *prometheus.GaugeVec
	lockWaiters, resting           *prometheus.GaugeVec
	forwarded                      *prometheus.CounterVec
	lockEvents                     *prometheus.CounterVec
	onceBytes                      *prometheus.GaugeVec
	onceRefused                    *prometheus.CounterVec
	diverged                       *prometheus.CounterVec
	refusedEntries, skippedEntries *prometheus.CounterVec
	unsettled                      *prometheus.GaugeVec
	wrong                          *prometheus.GaugeVec
	differ                         *prometheus.GaugeVec
	comparedIndex                  *prometheus.GaugeVec
	auditSeconds                   *prometheus.HistogramVec
	clockOffPeers                  prometheus.Gauge
	clockOffset                    *prometheus.GaugeVec
	operator                       operatorMetrics
	disk                           diskMetrics
}

func newNodeMetrics(reg prometheus.Registerer) *nodeMetrics {
	histogram := func(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
		h := prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: "lockstep", Subsystem: "shard", Name: name, Help: help, Buckets: buckets,
		}, append([]string{"shard"}, labels...))
		reg.MustRegister(h)
		return h
	}
	gauge := func(name, help string) *prometheus.GaugeVec {
		g := prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: "lockstep", Subsystem: "shard", Name: name, Help: help}, []string{"shard"})
		reg.MustRegister(g)
		return g
	}
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "lockstep", Subsystem: "shard", Name: name, Help: help}, append([]string{"shard"}, labels...))
		reg.MustRegister(c)
		return c
	}
	m := &nodeMetrics{
		entrySeconds:   histogram("entry_seconds", "Time from handing a log entry to Raft until it is applied here.", latencyBuckets),
		entryUnits:     histogram("entry_units", "Commands and transactions in one log entry.", prometheus.ExponentialBuckets(1, 4, 9)),
		entryBatches:   counter("entry_batches_total", "Batches of nodes put into log entries."),
		queueSeconds:   histogram("queue_seconds", "Time that a write waited on this node before it was put into a batch.", latencyBuckets),
		replicateSecs:  histogram("replicate_seconds", "Time of a log entry between the leader's disk and the state machine: sending it, and the flush of a quorum.", latencyBuckets),
		applySeconds:   histogram("apply_seconds", "Time that the state machine took for a log entry.", latencyBuckets),
		diskSeconds:    histogram("disk_seconds", "Time of one operation of the log store, flush included.", latencyBuckets, "op"),
		diskBytes:      counter("disk_bytes_total", "Bytes given to the log store.", "op"),
		roundSeconds:   histogram("confirm_seconds", "Time of one round that confirms the leader for reads.", latencyBuckets),
		snapSeconds:    histogram("snapshot_seconds", "Time that a snapshot took.", prometheus.ExponentialBuckets(0.01, 2, 14)),
		snapBytes:      gauge("snapshot_bytes", "Size of the newest snapshot."),
		freezeSeconds:  histogram("freeze_seconds", "Time that the log was held up by the beginning of a snapshot.", latencyBuckets),
		serving:        gauge("serving", "1 while this node answers as the shard's leader."),
		term:           gauge("term", "Raft term."),
		applied:        gauge("applied_index", "Newest log index applied."),
		ageSeconds:     gauge("age_seconds", "How long ago this replica was known to hold everything acknowledged."),
		keys:           gauge("keys", "Keys in the shard."),
		usedBytes:      gauge("used_bytes", "Accounted bytes of the shard's data."),
		evicted:        counter("evicted_keys_total", "Keys evicted since the process started."),
		expired:        counter("expired_keys_total", "Keys removed because their time was up, since the process started."),
		onceBytes:      gauge("once_bytes", "Memory for idempotency ids and their replies, by arithmetic."),
		onceRefused:    counter("once_refused_total", "Idempotency ids refused because that memory, or their client's share of it, was used up."),
		locksHeld:      gauge("locks_held", "Locks that are held."),
		lockWaiters:    gauge("lock_waiters", "Clients that wait for locks."),
		resting:        gauge("no_room_resting", "Writes of this node's clients that are in doubt and wait until disks have room for them."),
		lockEvents:     counter("lock_events_total", "What this replica applied: locks granted, released, expired and forced (released by an operator); waits that ended by timed_out, node_gone and cancelled.", "event"),
		forwarded:      counter("forwarded_reads_total", "Reads of shards of which this node has no replica: answered by another node, refused for good, failed because none answered in time.", "outcome"),
		diverged:       counter("diverged_total", "How often this replica was found to differ from a majority or from its own sums, since the process started."),
		wrong:          gauge("diverged", "1 while this replica's state is known to be wrong: it answers nothing and is being rebuilt."),
		refusedEntries: counter("entries_refused_total", "Log entries that this replica could not read, since the process started."),
		skippedEntries: counter("entries_skipped_total", "Log entries that no replica could read, and that were skipped."),
		unsettled:      gauge("entries_unsettled", "Log entries that this replica could not read and of which it does not know yet what the others made; it answers nothing meanwhile."),
		differ:         gauge("replicas_differ", "Replicas that differ from a majority or, where no majority tells, from this one, when last compared."),
		comparedIndex:  gauge("compared_index", "Newest log index at which this replica was compared with another."),
		auditSeconds:   histogram("audit_seconds", "Time that an audit took, which reads all data.", prometheus.ExponentialBuckets(0.01, 2, 16)),
		clockOffPeers:  prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "lockstep", Name: "clock_off_peers", Help: "Nodes whose clock differs by more than the allowed offset from a quorum's, or, where no quorum agrees, from this node's."}),
		clockOffset:    prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: "lockstep", Name: "clock_offset_seconds", Help: "How far a peer's clock is ahead of this node's."}, []string{"peer"}),
	}
	m.operator, m.disk = newOperatorMetrics(reg), newDiskMetrics(reg)
	reg.MustRegister(m.clockOffPeers, m.clockOffset)
	return m
}

// groupMetrics are the collectors of one shard, resolved once.
type groupMetrics struct {
	node                                *nodeMetrics
	label                               string
	entrySeconds, entryUnits            prometheus.Observer
	roundSeconds, queueSeconds, applied prometheus.Observer
	freeze, replicate                   prometheus.Observer
	batches                             prometheus.Counter

	// Of the newest entry; one is on its way at a time.
	lastDisk, lastApply atomic.Int64 // nanoseconds

	// What the counters show already; touched by observe alone.
	evictedShown, expiredShown, onceRefusedShown, cacheDamagedShown uint64
}

func (m *nodeMetrics) group(id uint32) *groupMetrics {
	label := strconv.FormatUint(uint64(id), 10)
	for _, outcome := range electionOutcomes() {
		m.operator.elections.WithLabelValues(label, outcome) // a rate needs the zero before the first
	}
	m.diverged.WithLabelValues(label)
	m.refusedEntries.WithLabelValues(label)
	m.skippedEntries.WithLabelValues(label)
	for _, event := range lockEvents() {
		m.lockEvents.WithLabelValues(label, event)
	}
	for _, reason := range slowdisk.Reasons() {
		m.disk.givenAway.WithLabelValues(label, reason)
	}
	m.disk.refused.WithLabelValues(label)
	m.disk.paused.WithLabelValues(label)
	return &groupMetrics{
		node: m, label: label,
		entrySeconds: m.entrySeconds.WithLabelValues(label),
		entryUnits:   m.entryUnits.WithLabelValues(label),
		roundSeconds: m.roundSeconds.WithLabelValues(label),
		queueSeconds: m.queueSeconds.WithLabelValues(label),
		applied:      m.applySeconds.WithLabelValues(label),
		freeze:       m.freezeSeconds.WithLabelValues(label),
		replicate:    m.replicateSecs.WithLabelValues(label),
		batches:      m.entryBatches.WithLabelValues(label),
	}
}

func (m *groupMetrics) entry(took time.Duration, units, batches int) {
	m.entrySeconds.Observe(took.Seconds())
	if rest := took - time.Duration(m.lastDisk.Load()+m.lastApply.Load()); rest > 0 {
		m.replicate.Observe(rest.Seconds())
	}
	m.entryUnits.Observe(float64(units))
	m.batches.Add(float64(batches))
}

func (m *groupMetrics) round(took time.Duration) { m.roundSeconds.Observe(took.Seconds()) }

func (m *groupMetrics) apply(took time.Duration) {
	m.lastApply.Store(int64(took))
	m.applied.Observe(took.Seconds())
}

func (m *groupMetrics) disk(op string, took time.Duration, bytes int) {
	if op == "store" {
		m.lastDisk.Store(int64(took))
	}
	m.node.diskSeconds.WithLabelValues(m.label, op).Observe(took.Seconds())
	m.node.diskBytes.WithLabelValues(m.label, op).Add(float64(bytes))
}

// lockEvents are the names of what lockEvent counts.
func lockEvents() []string {
	list := []string{"granted"}
	for r := lock.Released; r <= lock.Forced; r++ {
		list = append(list, r.String())
	}
	return list
}

func (m *groupMetrics) lockEvent(e lock.Event) {
	event := "granted"
	if e.Kind != lock.EventGranted {
		event = e.Reason.String()
	}
	m.node.lockEvents.WithLabelValues(m.label, event).Inc()
}

// observe sets the gauges.
func (g *Group) observe() {
	g.observeForOperators()
	m, l := g.metrics.node, g.metrics.label
	serving := 0.0
	if g.Serving() {
		serving = 1
	}
	m.serving.WithLabelValues(l).Set(serving)
	wrong := 0.0
	if g.keeper.Diverged() {
		wrong = 1
	}
	m.wrong.WithLabelValues(l).Set(wrong)
	m.unsettled.WithLabelValues(l).Set(float64(g.keeper.Unsettled()))
	m.term.WithLabelValues(l).Set(float64(g.raft.CurrentTerm()))
	m.applied.WithLabelValues(l).Set(float64(g.fsm.Applied()))
	m.ageSeconds.WithLabelValues(l).Set(g.reader.Age().Seconds())
	g.fsm.Inspect(func(s *store.Store, _ int64) {
		m.keys.WithLabelValues(l).Set(float64(s.Len()))
		m.usedBytes.WithLabelValues(l).Set(float64(s.Used()))
	})
	once := g.fsm.OnceFigures()
	m.onceBytes.WithLabelValues(l).Set(float64(once.Bytes))
	m.onceRefused.WithLabelValues(l).Add(float64(once.Refused - min(g.metrics.onceRefusedShown, once.Refused)))
	g.metrics.onceRefusedShown = once.Refused
	held, waiters := g.LockCounts()
	m.locksHeld.WithLabelValues(l).Set(float64(held))
	m.lockWaiters.WithLabelValues(l).Set(float64(waiters))
	m.resting.WithLabelValues(l).Set(float64(g.session.Figures().Resting))
	evicted, expired := g.fsm.Counters()
	m.evicted.WithLabelValues(l).Add(float64(evicted - g.metrics.evictedShown))
	m.expired.WithLabelValues(l).Add(float64(expired - g.metrics.expiredShown))
	g.metrics.evictedShown, g.metrics.expiredShown = evicted, expired
}
