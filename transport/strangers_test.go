package transport

import (
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// Silent connections neither keep peers out nor stay, and the log tells of some.
func TestStrangersDoNotKeepPeersOut(t *testing.T) {
	began := time.Now()
	c := newCluster(t, 2)
	n1 := c.start("n1")
	const silent = 200
	var strangers []net.Conn
	for range silent {
		nc, err := net.Dial("tcp", c.peers["n1"])
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		strangers = append(strangers, nc)
	}
	n2 := c.start("n2")
	c.connected(n2, "n1")
	if n1.Displaced() == 0 {
		t.Error("nobody made room")
	}
	for _, nc := range strangers {
		_ = nc.SetReadDeadline(time.Now().Add(time.Minute))
		if _, err := nc.Read(make([]byte, 1)); err == nil || strings.Contains(err.Error(), "timeout") {
			t.Fatalf("a silent connection stays: %v", err)
		}
	}
	if told := strings.Count(c.logs.String(), "connection refused"); told == 0 || told > mostTold(began) {
		t.Errorf("%d lines about %d strangers", told, silent)
	}
}

// mostTold are the refusals that the log of a node may tell by now.
func mostTold(began time.Time) int { return (2 + int(time.Since(began)/refusalPeriod)) * refusalsTold }

// However many connect at once, no more than MaxStrangers are looked at. The time is virtual.
func TestStrangersAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStrangers()
		var all []*stranger
		for range MaxStrangers {
			a, b := net.Pipe()
			defer a.Close()
			defer b.Close()
			all = append(all, s.enter(t.Context(), a))
		}
		a, b := net.Pipe()
		defer a.Close()
		defer b.Close()
		if st, wait := s.tryEnter(a); st != nil || wait <= 0 {
			t.Fatal("one too many came in at once")
		}
		entered := make(chan *stranger)
		go func() { entered <- s.enter(t.Context(), a) }()
		s.leave(all[5])
		<-entered
		if got := s.list.Len(); got != MaxStrangers {
			t.Errorf("%d strangers", got)
		}
	})
}

// The log has a bounded number of lines, and says how many it left out.
func TestRefusalsAreToldInPortions(t *testing.T) {
	var l refusalLog
	now := time.Unix(1000, 0)
	told := 0
	for range 1000 {
		if _, ok := l.may(now); ok {
			told++
		}
	}
	withheld, ok := l.may(now.Add(refusalPeriod))
	if told != refusalsTold || !ok || withheld != 1000-refusalsTold {
		t.Errorf("told %d, then %v after %d", told, ok, withheld)
	}
}
