package shard

import (
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lockstepkv/lockstep/internal/clock"
	"github.com/lockstepkv/lockstep/shard/logclock"
	"github.com/lockstepkv/lockstep/transport"
)

// setClock is the machine's clock, whose wall time a test can set.
type setClock struct {
	clock.Clock
	off atomic.Int64 // milliseconds
}

func (c *setClock) WallMillis() int64 { return c.Clock.WallMillis() + c.off.Load() }

// newClockCluster returns a cluster whose nodes have clocks of their own.
func newClockCluster(t *testing.T) (*cluster, map[string]*setClock) {
	clocks := map[string]*setClock{}
	for _, id := range []string{"n1", "n2", "n3"} {
		clocks[id] = &setClock{Clock: clock.System()}
	}
	c := newCluster(t, 3, func(o *Options) {
		o.MaxClockOffset = 500 * time.Millisecond
		o.Clock = clocks[o.NodeID]
	})
	return c, clocks
}

// number runs a command that answers one.
func (c *cluster) number(id, cmd string) int64 {
	c.t.Helper()
	v, err := c.run(id, cmd)
	if err != nil {
		c.t.Fatalf("%s on %s: %v", cmd, id, err)
	}
	return v.Int
}

// lockLasts takes a lock and returns how long it was held.
func (c *cluster) lockLasts(id, name string, ttl time.Duration) time.Duration {
	c.t.Helper()
	began := time.Now()
	for _, token := range []string{"a", "b"} {
		v, err := c.run(id, fmt.Sprintf("LS.LOCK %s %d o 60000 %s %s 1", name, ttl.Milliseconds(), token, id))
		if err != nil || len(v.Elems) != 5 {
			c.t.Fatalf("%+v, %v", v, err)
		}
	}
	c.eventually(func() error {
		held := string(c.lockOwnerToken(id, name))
		if held != "b" {
			return fmt.Errorf("held by %q", held)
		}
		return nil
	})
	lasted := time.Since(began)
	c.want(id, "UNLOCK "+name+" b", ":1\r\n")
	return lasted
}

// lockOwnerToken tells who holds a lock by asking for it again.
func (c *cluster) lockOwnerToken(id, name string) string {
	v, err := c.run(id, fmt.Sprintf("LS.LOCK %s 60000 o 0 b %s 1", name, id))
	if err == nil && len(v.Elems) == 5 && v.Elems[0].Int == 1 {
		return "b"
	}
	return ""
}

// TestOneBadClockWithANodeDown: no quorum can tell whose clock is right, so the
// log's time follows none of them.
func TestOneBadClockWithANodeDown(t *testing.T) {
	for _, off := range []time.Duration{24 * time.Hour, -24 * time.Hour} {
		t.Run(off.String(), func(t *testing.T) {
			c, clocks := newClockCluster(t)
			bad := c.leader()
			c.want(bad, "SET k v PX 600000", "+OK\r\n")
			for _, id := range c.others(bad)[1:] {
				c.stop(id)
			}
			clocks[bad].off.Store(off.Milliseconds())
			check := func(when string) {
				c.eventually(func() error { return c.node(bad).Ready() })
				if left := c.number(bad, "PTTL k"); left < 500_000 || left > 600_000 {
					t.Errorf("%s: %d ms are left of 600 s", when, left)
				}
				if lasted := c.lockLasts(bad, "l", 500*time.Millisecond); lasted < 450*time.Millisecond || lasted > 5*time.Second {
					t.Errorf("%s: a lock of 500 ms lasted %v", when, lasted)
				}
				before, began, entries := c.number(bad, "PTTL k"), time.Now(), c.group(bad).raft.LastIndex()
				c.eventually(func() error {
					passed := time.Since(began)
					if passed < 400*time.Millisecond {
						return fmt.Errorf("only %v passed", passed)
					}
					gone := time.Duration(before-c.number(bad, "PTTL k")) * time.Millisecond
					if gone < passed*8/10 || gone > time.Since(began)*12/10+20*time.Millisecond {
						return fmt.Errorf("%s: %v passed, the log's clock moved %v", when, passed, gone)
					}
					return nil
				})
				if n := c.group(bad).raft.LastIndex() - entries; n > 20 {
					t.Errorf("%s: %d entries were logged while nobody wrote", when, n)
				}
			}
			check("one clock is off")
			clocks[bad].off.Store(0)
			check("set right")
			if c.group(bad).Serving() == false {
				t.Logf("%s does not lead any more", bad)
			}
		})
	}
}

// TestAllClocksAreSet: by NTP, say. Keys and locks go on, and nobody logs entries
// in a loop for a time that the log does not come to.
func TestAllClocksAreSet(t *testing.T) {
	for _, step := range []time.Duration{5 * time.Second, -5 * time.Second} {
		t.Run(step.String(), func(t *testing.T) {
			c, clocks := newClockCluster(t)
			leader := c.leader()
			c.want(leader, "SET long v PX 600000", "+OK\r\n")
			c.want(leader, "SET short v PX 3000", "+OK\r\n")
			began := time.Now()
			before := c.group(leader).raft.LastIndex()
			for _, k := range clocks {
				k.off.Store(step.Milliseconds())
			}
			c.eventually(func() error {
				for _, id := range c.ids { // a reader that asks all the time
					if v, err := c.run(id, "GET short"); err != nil || v.Str != nil {
						return fmt.Errorf("%s: %q, %v", id, v.Str, err)
					}
				}
				return nil
			})
			if took := time.Since(began); step < 0 && (took < 2700*time.Millisecond || took > 10*time.Second) {
				t.Errorf("a key of 3 s expired after %v", took)
			}
			if n := c.group(leader).raft.LastIndex() - before; n > 50 {
				t.Errorf("%d entries were logged for one key", n)
			}
			if left := c.number(leader, "PTTL long"); left < 580_000 || left > 600_000 {
				t.Errorf("%d ms are left of 600 s", left)
			}
		})
	}
}

// TestClocksThatDifferAreTold: once, by name.
func TestClocksThatDifferAreTold(t *testing.T) {
	c, clocks := newClockCluster(t)
	leader := c.leader()
	bad := c.others(leader)[0]
	clocks[bad].off.Store(10_000)
	c.eventually(func() error {
		a := c.node(leader).agreement()
		if !a.Known || !a.Member || len(a.Outside) != 1 || a.Outside[0].Node != bad {
			return fmt.Errorf("%+v", a)
		}
		if a = c.node(bad).agreement(); !c.node(bad).off(a) {
			return fmt.Errorf("at the node itself: %+v", a)
		}
		return nil
	})
	var log strings.Builder
	n := &Node{opt: Options{NodeID: leader, MaxClockOffset: time.Second, Clock: clock.System(), Logger: textLogger(&log)}}
	a := c.node(leader).agreement()
	told := n.tellClocks(a, "")
	if n.tellClocks(a, told) != told || strings.Count(log.String(), "\n") != 1 || !strings.Contains(log.String(), bad+" by ") {
		t.Errorf("told %q", log.String())
	}
}

// stallingClock stands still for stall between the readings of its two times.
type stallingClock struct {
	*clock.Manual
	stall time.Duration
}

func (c stallingClock) WallMillis() int64 {
	c.Advance(c.stall)
	return c.Manual.WallMillis()
}

// TestAPauseIsNoDifference: a process that stands still while it compares clocks, or whose
// probes take long, knows less of them. It must not say that they differ.
func TestAPauseIsNoDifference(t *testing.T) {
	const wall = 1_700_000_000_000
	n := &Node{opt: Options{NodeID: "n1", MaxClockOffset: 500 * time.Millisecond, Clock: stallingClock{clock.NewManual(wall), 900 * time.Millisecond}}}
	own, at := n.ownClock()
	if own.Error != 450*time.Millisecond || at != 450*time.Millisecond {
		t.Errorf("read %+v at %v", own, at)
	}
	h := transport.Health{Connected: true, ClockKnown: true, WallMillis: wall + 3000, ClockAt: 3 * time.Second, ClockError: time.Millisecond}
	peer := reading("n2", h, at)
	if peer.Wall != wall+450 || n.vague(h) {
		t.Errorf("a peer's right clock is read as %+v", peer)
	}
	a := logclock.Agree(own, []logclock.Reading{peer, reading("n3", h, at)}, 3, n.opt.MaxClockOffset)
	if n.off(a) || len(a.Outside) > 0 {
		t.Errorf("right clocks differ: %+v", a)
	}
	h.ClockError = 501 * time.Millisecond
	if !n.vague(h) {
		t.Error("a reading by a round trip of a second counts")
	}
}

// TestUnknownClocksDoNotPutOneRight: they neither put a node's clock off nor end that it is.
func TestUnknownClocksDoNotPutOneRight(t *testing.T) {
	c := clock.NewManual(1_700_000_000_000)
	var log strings.Builder
	n := &Node{opt: Options{NodeID: "n1", MaxClockOffset: 500 * time.Millisecond, Clock: c, Logger: textLogger(&log)}}
	told := ""
	look := func(off, vague time.Duration) {
		own := logclock.Reading{Node: "n1", Wall: c.WallMillis() + off.Milliseconds()}
		right := func(id string) logclock.Reading {
			return logclock.Reading{Node: id, Wall: c.WallMillis(), Error: vague}
		}
		a := logclock.Agree(own, []logclock.Reading{right("n2"), right("n3")}, 3, n.opt.MaxClockOffset)
		n.noteOff(a)
		told = n.tellClocks(a, told)
		c.Advance(2 * time.Second)
	}
	for range 3 {
		look(989*time.Millisecond, 900*time.Millisecond)
	}
	if n.clockOff() || log.String() != "" {
		t.Fatalf("off by what is not known: %s", log.String())
	}
	look(time.Hour, 0)
	look(time.Hour, 0)
	look(time.Hour, 900*time.Millisecond)
	if !n.clockOff() || strings.Count(log.String(), "\n") != 1 || !strings.Contains(log.String(), "will not lead") {
		t.Fatalf("off: %v, the log says: %s", n.clockOff(), log.String())
	}
	look(0, 0)
	if n.clockOff() || !strings.Contains(log.String(), "agree again") {
		t.Errorf("off: %v, the log says: %s", n.clockOff(), log.String())
	}
}

func textLogger(w *strings.Builder) *slog.Logger { return slog.New(slog.NewTextHandler(w, nil)) }

// A measurement that is not exact enough calls no clock off.
func TestClockIsOffByMoreThanItsError(t *testing.T) {
	n := &Node{opt: Options{MaxClockOffset: 500 * time.Millisecond}}
	h := transport.Health{ClockKnown: true, ClockOffset: -700 * time.Millisecond}
	if !n.differs(h) {
		t.Error("an exact measurement beyond the bound says nothing")
	}
	h.ClockError = 300 * time.Millisecond
	if n.differs(h) {
		t.Error("a clock is called off that may be in order")
	}
}

func TestRaftNewsHaveTheirLevel(t *testing.T) {
	for msg, want := range map[string]slog.Level{
		"failed to get log":   slog.LevelInfo, // of a follower that gets a snapshot instead
		"failed to take snap": slog.LevelError,
	} {
		if got := raftLevel(msg, slog.LevelError); got != want {
			t.Errorf("%q: %v, want %v", msg, got, want)
		}
	}
}
