package transport

import (
	"container/list"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lockstepkv/lockstep/internal/hangup"
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
	link  linkClass // linkClasses or more: it is none of the peer's links
	clock func() time.Duration
	since time.Duration // monotonic time of its admission
	used  atomic.Int64  // monotonic time of the newest request; 0: there was none
	place *list.Element // guarded by accepted.mu; nil: it made room
}

// touch notes that there is a request.
func (i *inbound) touch() { i.used.Store(int64(i.clock())) }

// firstRequest is how long a connection may take for its first request before it counts as
// one that has none to make.
const firstRequest = electionTimeout

// idleSince is since when it has been without a request.
func (i *inbound) idleSince(now time.Duration) time.Duration {
	used := time.Duration(i.used.Load())
	switch {
	case used != 0:
		return used
	case now-i.since > firstRequest:
		return 0
	}
	return i.since
}

// admit counts a connection. At the bound those go that the peer has hung up, and if there
// are none, the one that is most likely given up makes room.
func (t *Transport) admit(p *peer, nc net.Conn, pre preamble) *inbound {
	t.mu.Lock()
	most := PeerConns(len(t.groups))
	t.mu.Unlock()
	in := &inbound{nc: nc, link: linkClasses, clock: t.clock.Mono, since: t.clock.Mono()}
	if pre.kind == kindRPC {
		in.link = linkClass(pre.number)
	}
	a := &p.accepted
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.list.Len() >= most {
		a.clear()
	}
	for a.list.Len() >= most {
		idlest := a.idlest(in.since)
		a.remove(idlest)
		closeConn(idlest.nc)
		t.crowded.Add(1)
		t.tellCrowd(p, most)
	}
	in.place = a.list.PushBack(in)
	return in
}

// clear drops the connections that the peer has hung up: those whose request Raft still has.
// It needs mu.
func (a *accepted) clear() {
	for e := a.list.Front(); e != nil; {
		in := e.Value.(*inbound)
		e = e.Next()
		if hungUp(in.nc) {
			a.remove(in)
			closeConn(in.nc)
		}
	}
}

// idlest is the connection that has been without a request for longest, first one that never
// had any. The newest link of each class is spared: a peer dials the next when it has lost
// the one before, so it is the one that it uses. It needs mu, and more than linkClasses
// connections.
func (a *accepted) idlest(now time.Duration) (idlest *inbound) {
	var spared [linkClasses]bool
	for e := a.list.Back(); e != nil; e = e.Prev() {
		in := e.Value.(*inbound)
		if in.link < linkClasses && !spared[in.link] {
			spared[in.link] = true
			continue
		}
		if idlest == nil || in.idleSince(now) <= idlest.idleSince(now) {
			idlest = in
		}
	}
	return idlest
}

// hungUp reports whether the peer has closed its end of a connection from which nobody reads.
func hungUp(nc net.Conn) bool {
	if c, ok := nc.(*faultConn); ok {
		if fault, _ := c.f.fault(c.peer, Inbound); fault != Healthy {
			return false // the news of it would not have arrived
		}
		nc = c.Conn
	}
	return hangup.Seen(nc)
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
