package transport

import (
	"bytes"
	"net"
	"strings"
	"testing"
	"time"
)

// A node that opens connections without end has a bounded number of them, and those that
// it uses stay.
func TestConnectionsOfAPeerAreBounded(t *testing.T) {
	c := newCluster(t, 2)
	c.startAll(withSecret(testSecret), func(o *Options) { o.RaftTimeout = time.Minute })
	n1, n2 := c.nodes["n1"], c.nodes["n2"]
	n1.Handle(mEcho, echo)
	n1.Group(0)
	most, p := PeerConns(1), n1.peers["n2"]
	eventually(t, "the links have been probed", func() bool {
		p.accepted.mu.Lock()
		defer p.accepted.mu.Unlock()
		idlest := p.accepted.idlest()
		return idlest != nil && idlest.used.Load() > 0 && p.accepted.list.Len() == int(linkClasses)
	})
	var flood []net.Conn
	for range 3 * most {
		nc, err := n2.dial(n2.peers["n1"], kindRaft, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { nc.Close() })
		flood = append(flood, nc)
		got, err := n2.Call(within(t, 20*time.Second), "n1", mEcho, []byte("still here"))
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
	_ = flood[0].SetReadDeadline(time.Now().Add(20 * time.Second))
	if _, err := flood[0].Read(make([]byte, 1)); err == nil || strings.Contains(err.Error(), "timeout") {
		t.Errorf("the oldest connection without a request stays: %v", err)
	}
	if text := c.logs.String(); !strings.Contains(text, "more connections than it needs") || strings.Count(text, "more connections than it needs") > 2*refusalsTold {
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

// The one without a request goes first, then the one whose last is longest ago.
func TestTheIdlestConnectionMakesRoom(t *testing.T) {
	var a accepted
	now := time.Second
	var all []*inbound
	for _, used := range []time.Duration{3, 1, 0, 2, 0} {
		in := &inbound{clock: func() time.Duration { return now }}
		if used > 0 {
			now = used * time.Second
			in.touch()
		}
		in.place = a.list.PushBack(in)
		all = append(all, in)
	}
	for _, want := range []int{2, 4, 1, 3, 0} {
		in := a.idlest()
		if in != all[want] {
			t.Fatalf("not number %d", want)
		}
		a.leave(in)
		a.leave(in) // once more does no harm
	}
}
