package transport

import (
	"encoding/binary"
	"sync"
	"time"

	"github.com/lockstepkv/lockstep/internal/clock"
)

// Health is what the probes say of a peer.
type Health struct {
	Connected bool
	LastSeen  time.Time     // when the last probe was answered; zero if never
	RTT       time.Duration // round trip of that probe
	// WallMillis is the peer's wall clock now (Unix time), as it follows from the
	// quickest of the newest probes and this node's monotonic clock: a step of this
	// node's own wall clock does not move it. ClockAt is the reading of the monotonic
	// clock that "now" was. It is exact to ClockError, half that round trip, and the
	// clocks' millisecond. ClockOffset is how far it is ahead of this node's.
	// ClockKnown is false before the first answer, and when the last one is too old.
	WallMillis  int64
	ClockAt     time.Duration
	ClockError  time.Duration
	ClockOffset time.Duration
	ClockKnown  bool
}

// clockSamples is how many probes are compared; with one every 250 ms a step of
// a clock shows within 2 s.
const clockSamples = 8

// clockWindow holds the newest probes of a peer.
type clockWindow struct {
	mu       sync.Mutex
	sent     probe                     // guarded by mu; the one under way
	samples  [clockSamples]clockSample // guarded by mu; a ring
	n        int                       // guarded by mu; samples ever taken
	lastSeen time.Time                 // guarded by mu
}

type probe struct {
	conn *conn
	id   uint64
	mono time.Duration
}

type clockSample struct {
	rtt        time.Duration
	wallMillis int64         // the peer's
	mono       time.Duration // this node's, at that moment
}

// clockFresh is for how long an answer counts.
const clockFresh = 3 * time.Second

// ping sends a probe. Only those of the control link measure; the others
// merely show that their connection is alive.
func (p *peer) ping(c *conn, id uint64) {
	if c.class == linkControl {
		p.clock.mu.Lock()
		p.clock.sent = probe{conn: c, id: id, mono: p.t.clock.Mono()}
		p.clock.mu.Unlock()
	}
	_ = c.send(header{kind: framePing, id: id}, nil) // a failed connection has been noticed already
}

// pong takes a probe's answer.
func (p *peer) pong(c *conn, id uint64, peerMillis int64) {
	mono := p.t.clock.Mono()
	w := &p.clock
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.sent.conn != c || w.sent.id != id {
		return
	}
	w.samples[w.n%clockSamples] = clockSample{
		rtt:        mono - w.sent.mono, // by the clock that mono is of: a pause between two would count in one alone
		wallMillis: peerMillis,
		mono:       w.sent.mono + (mono-w.sent.mono)/2, // the middle of the round trip
	}
	w.n++
	w.lastSeen = time.Now()
	w.sent = probe{}
}

func (w *clockWindow) read(h *Health, c clock.Clock) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.n == 0 {
		return
	}
	h.LastSeen = w.lastSeen
	h.RTT = w.samples[(w.n-1)%clockSamples].rtt
	best := w.samples[0]
	for _, s := range w.samples[:min(w.n, clockSamples)] {
		if s.rtt < best.rtt {
			best = s
		}
	}
	newest := w.samples[(w.n-1)%clockSamples]
	mono := c.Mono()
	h.ClockAt, h.ClockError = mono, best.rtt/2
	h.WallMillis = best.wallMillis + (mono - best.mono).Milliseconds()
	h.ClockOffset = time.Duration(h.WallMillis-c.WallMillis()) * time.Millisecond
	h.ClockKnown = mono-newest.mono <= clockFresh
}

// Health reports on a peer. A node that is not in Options.Peers is not
// connected; this node itself is, with no offset.
func (t *Transport) Health(id string) Health {
	if id == t.id {
		return Health{Connected: true, LastSeen: time.Now(), WallMillis: t.clock.WallMillis(), ClockKnown: true}
	}
	p := t.all()[id]
	if p == nil {
		return Health{}
	}
	h := Health{Connected: p.links[linkControl].conn.Load() != nil}
	p.clock.read(&h, t.clock)
	return h
}

func pongPayload(wallMillis int64) []byte {
	return binary.BigEndian.AppendUint64(nil, uint64(wallMillis))
}
