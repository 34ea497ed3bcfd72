package transport

import (
	"bytes"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

// A node that opens connections without end has a bounded number of them, and those that
// it uses stay.
func TestConnectionsOfAPeerAreBounded(t *testing.T) {
	began := time.Now()
	c := newCluster(t, 2)
	c.startAll(withSecret(testSecret), func(o *Options) { o.RaftTimeout = time.Minute })
	n1, n2 := c.nodes["n1"], c.nodes["n2"]
	n1.Handle(mEcho, echo)
	n1.Group(0)
	most, p := PeerConns(1), n1.all()["n2"]
	eventually(t, "the links have been probed", func() bool {
		p.accepted.mu.Lock()
		defer p.accepted.mu.Unlock()
		for e := p.accepted.list.Front(); e != nil; e = e.Next() {
			if e.Value.(*inbound).used.Load() == 0 {
				return false
			}
		}
		return p.accepted.list.Len() == int(linkClasses)
	})
	var flood []net.Conn
	for range 3 * most {
		nc, err := n2.dial(n2.all()["n1"], kindRaft, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { nc.Close() })
		flood = append(flood, nc)
		got, err := n2.Call(within(t, time.Minute), "n1", mEcho, []byte("still here"))
		if err != nil || !bytes.Equal(got, []byte("still here")) {
			t.Fatalf("after %d connections: %q, %v", len(flood), got, err)
		}
	}
	eventually(t, "room was made", func() bool { return n1.Crowded() >= int64(2*most) })
	if got := n1.Connections(); got > most+int(linkClasses) {
		t.Errorf("%d connections, at most %d of the peer", got, most)
	}
	p.accepted.mu.Lock()
	held := p.accepted.list.Len()
	p.accepted.mu.Unlock()
	if held > most {
		t.Errorf("%d connections are held, at most %d should be", held, most)
	}
	_ = flood[0].SetReadDeadline(time.Now().Add(time.Minute))
	if _, err := flood[0].Read(make([]byte, 1)); err == nil || strings.Contains(err.Error(), "timeout") {
		t.Errorf("the oldest connection without a request stays: %v", err)
	}
	if text := c.logs.String(); !strings.Contains(text, "more connections than it needs") || strings.Count(text, "more connections than it needs") > mostTold(began) {
		t.Errorf("the log says:\n%s", text)
	}
	for _, nc := range flood {
		nc.Close()
	}
	eventually(t, "those that ended do not count", func() bool {
		p.accepted.mu.Lock()
		defer p.accepted.mu.Unlock()
		return p.accepted.list.Len() <= int(linkClasses)
	})
}

// One that has long had no request goes first, then the one whose last is longest ago. A new
// one has time for its first, and the newest link of each class stays whatever it did.
func TestTheIdlestConnectionMakesRoom(t *testing.T) {
	var a accepted
	now := time.Second
	clock := func() time.Duration { return now }
	var all []*inbound
	add := func(link linkClass, since, used time.Duration) {
		in := &inbound{link: link, clock: clock, since: since * time.Second}
		if used > 0 {
			now = used * time.Second
			in.touch()
		}
		in.place = a.list.PushBack(in)
		all = append(all, in)
	}
	add(linkControl, 1, 97) // replaced by the next
	add(linkControl, 1, 2)
	add(linkBulk, 1, 0)
	add(linkClasses, 1, 95)
	add(linkClasses, 1, 93)
	add(linkClasses, 3, 0)
	add(linkClasses, 96, 0) // new
	now = 97 * time.Second
	for _, want := range []int{5, 4, 3, 6, 0} {
		in := a.idlest(now)
		if in != all[want] {
			t.Fatalf("not number %d", want)
		}
		a.leave(in)
		a.leave(in) // once more does no harm
	}
	if in := a.idlest(now); in != nil {
		t.Errorf("a link makes room: %+v", in)
	}
}

func never() bool { return false }

func (a *accepted) held() (all []*inbound) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for e := a.list.Front(); e != nil; e = e.Next() {
		all = append(all, e.Value.(*inbound))
	}
	return all
}

// sendOn dials a stream of a group and sends a request on it.
func (c *cluster) sendOn(from, to string, group uint32, tag rpcType, req any) net.Conn {
	c.tb.Helper()
	nc, err := c.nodes[from].dial(c.nodes[from].all()[to], kindRaft, group)
	if err != nil {
		c.tb.Fatal(err)
	}
	c.tb.Cleanup(func() { nc.Close() })
	var enc codec
	segs, err := enc.encodeRaft(uint8(tag), req)
	if err == nil {
		err = writeSegments(nc, segs)
	}
	if err != nil {
		c.tb.Fatal(err)
	}
	return nc
}

// A node that restores its data takes no request for a while. Peers give up and dial again:
// the streams that they leave must end.
func TestAnAbandonedStreamEnds(t *testing.T) {
	for name, change := range map[string]func(*Options){
		"plain":  func(*Options) {},
		"faults": func(o *Options) { o.Fault = NewFaults() },
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t, 2)
			c.startAll(change)
			n1 := c.nodes["n1"]
			n1.Group(0) // no Raft yet
			p := n1.all()["n2"]
			entries := []*raft.Log{{Index: 1, Term: 1, Data: make([]byte, 1<<20)}}
			for _, m := range []struct {
				tag rpcType
				req any
			}{
				{rpcAppend, &raft.AppendEntriesRequest{Term: 1, Leader: []byte("n2")}},
				{rpcAppend, &raft.AppendEntriesRequest{Term: 1, Leader: []byte("n2"), Entries: entries}},
				{rpcVote, &raft.RequestVoteRequest{Term: 1}},
				{rpcSnapshot, &raft.InstallSnapshotRequest{Term: 1, Size: 1 << 20}},
			} {
				nc := c.sendOn("n2", "n1", 0, m.tag, m.req)
				eventually(t, "the request arrives", func() bool {
					all := p.accepted.held()
					return len(all) == int(linkClasses)+1 && all[len(all)-1].used.Load() != 0
				})
				nc.Close()
				eventually(t, fmt.Sprintf("the stream of a %T ends", m.req), func() bool {
					return len(p.accepted.held()) == int(linkClasses)
				})
			}
		})
	}
}

// Raft can hold the requests of streams that were given up. They are no reason to close one
// that is in use, nor to say that the peer has too many.
func TestAbandonedStreamsMakeRoomFirst(t *testing.T) {
	c := newCluster(t, 2)
	c.startAll()
	n1 := c.nodes["n1"]
	g, p := n1.Group(0), n1.all()["n2"]
	eventually(t, "the links are there", func() bool { return len(p.accepted.held()) == int(linkClasses) })
	links := p.accepted.held()
	most := PeerConns(1)
	var given []net.Conn
	for len(given) < most-int(linkClasses) {
		given = append(given, c.sendOn("n2", "n1", 0, rpcVote, &raft.RequestVoteRequest{Term: 1}))
		<-g.Consumer() // and no answer
	}
	eventually(t, "all are there", func() bool { return len(p.accepted.held()) == most })
	for _, nc := range given {
		nc.Close()
	}
	eventually(t, "their end arrives", func() bool {
		gone := 0
		for _, in := range p.accepted.held() {
			if hungUp(in.nc) {
				gone++
			}
		}
		return gone == len(given)
	})
	c.sendOn("n2", "n1", 0, rpcVote, &raft.RequestVoteRequest{Term: 1})
	<-g.Consumer()
	if n := n1.Crowded(); n != 0 {
		t.Errorf("%d connections that were in use made room", n)
	}
	held := p.accepted.held()
	if len(held) != int(linkClasses)+1 {
		t.Errorf("%d connections, of which the peer has hung up all but %d", len(held), int(linkClasses)+1)
	}
	for _, in := range links {
		if !slices.Contains(held, in) {
			t.Errorf("a link of class %d made room", in.link)
		}
	}
}
