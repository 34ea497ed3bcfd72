package transport

import (
	"container/list"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// spareConns are a peer's links, twice as one may be gone without this node having
	// noticed, and as many streams again.
	spareConns = 4 * int(linkClasses)
	// groupConns are the streams of a Raft group: the idle ones that the peer keeps, and a
	// pipeline or snapshot.
	groupConns = poolSize + 1
)

// PeerConns is how many connections are taken from one peer, with which this node shares
// so many Raft groups.
func PeerConns(groups int) int { return spareConns + groups*groupConns }

// DialedConns is how many connections a node keeps to such a peer itself.
func DialedConns(groups int) int { return int(linkClasses) + groups*groupConns }

// accepted are the connections that a peer has dialed. One that knows the cluster's secret
// can still have lost count of them.
type accepted struct {
	mu   sync.Mutex
	list list.List // guarded by mu; of *inbound, the oldest first
}

// inbound is a connection that a peer has dialed.
type inbound struct {
	nc    net.Conn
	clock func() time.Duration
	used  atomic.Int64  // monotonic time of the newest request; 0: there was none
	place *list.Element // guarded by accepted.mu; nil: it made room
}

// touch notes that there is a request.
func (i *inbound) touch() { i.used.Store(int64(i.clock())) }

// admit counts a connection. At the bound the one makes room that has never had a request,
// or has been without for longest: it is most likely one that the peer has given up.
func (t *Transport) admit(p *peer, nc net.Conn) *inbound {
	t.mu.Lock()
	most := PeerConns(len(t.groups))
	t.mu.Unlock()
	in := &inbound{nc: nc, clock: t.clock.Mono}
	p.accepted.mu.Lock()
	defer p.accepted.mu.Unlock()
	for p.accepted.list.Len() >= most {
		idlest := p.accepted.idlest()
		p.accepted.remove(idlest)
		closeConn(idlest.nc)
		t.crowded.Add(1)
		t.tellCrowd(p, most)
	}
	in.place = p.accepted.list.PushBack(in)
	return in
}

// idlest needs mu.
func (a *accepted) idlest() (idlest *inbound) {
	for e := a.list.Front(); e != nil; e = e.Next() {
		if in := e.Value.(*inbound); idlest == nil || in.used.Load() < idlest.used.Load() {
			idlest = in
		}
	}
	return idlest
}

// remove needs mu.
func (a *accepted) remove(in *inbound) {
	if in.place != nil {
		a.list.Remove(in.place)
		in.place = nil
	}
}

// leave follows the end of a connection.
func (a *accepted) leave(in *inbound) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.remove(in)
}

// Crowded counts the connections that made room for newer ones of the same peer.
func (t *Transport) Crowded() int64 { return t.crowded.Load() }

func (t *Transport) tellCrowd(p *peer, most int) {
	if withheld, ok := t.refusals.may(time.Now()); ok {
		t.log.LogAttrs(t.ctx, slog.LevelWarn, "a node opens more connections than it needs, the one that was idle for longest is closed",
			slog.String("peer", p.id), slog.Int("most", most), slog.Int("not_told_before", withheld))
	}
}
