package fsm

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/lockstepkv/lockstep/fsm/command"
)

const century = int64(BootAheadMillis)

// bootAt is a start's number by a clock.
func bootAt(millis int64, low uint64) uint64 { return uint64(millis)<<BootBits | low }

// process is a start of a node. Its batches stay under way for as long as anybody likes.
type process struct {
	boot   uint64
	seq    uint64
	acked  uint64
	flying []Batch
}

// starts is a node whose number is damaged now and then, whose directory is lost now and then,
// and whose batches arrive late, or twice.
type starts struct {
	t       *rapid.T
	r       *replica
	clock   int64
	all     []*process
	node    string // a lane of it
	applied []string
}

func (s *starts) current() *process { return s.all[len(s.all)-1] }

// start begins another process, as package shard numbers it.
func (s *starts) start(previous uint64) {
	wall := s.clock + rapid.Int64Range(-5_000, 5_000).Draw(s.t, "wall clock off by")
	boot := max(previous+1, bootAt(wall, rapid.Uint64Range(0, 1<<BootBits-1).Draw(s.t, "random bits")))
	s.all = append(s.all, &process{boot: boot})
}

// deliver has a batch of a process logged and applied, and returns what became of it.
func (s *starts) deliver(p *process, b Batch) error {
	s.clock += rapid.Int64Range(1, 3).Draw(s.t, "time")
	index := slices.Index(s.all, p)
	if got := s.r.apply(entryOf(s.clock, b)); got[0].Err != nil {
		return got[0].Err
	}
	if b.Seq == p.acked+1 {
		p.acked++
	}
	v := s.read()
	mark := fmt.Sprintf("%d.%d,", index, b.Seq)
	if v != strings.Join(s.applied, "") {
		if v != strings.Join(s.applied, "")+mark {
			s.t.Fatalf("after batch %s: %s, before %v", mark, v, s.applied)
		}
		s.applied = append(s.applied, mark)
	}
	return nil
}

func (s *starts) read() (v string) {
	s.r.f.View(Stamp{}, func(ctx *command.Ctx) {
		if e := ctx.Lookup([]byte("log")); e != nil {
			v = string(e.Bytes())
		}
	})
	return v
}

// send makes the next batch of the newest process.
func (s *starts) send() Batch {
	p := s.current()
	p.seq++
	b := batch(s.node, p.boot, p.seq, p.acked, fmt.Sprintf("APPEND log %d.%d,", len(s.all)-1, p.seq))
	p.flying = append(p.flying, b)
	return b
}

// check looks that nothing was applied twice, and nothing of an earlier process after a later one's.
func (s *starts) check() {
	newest, seen := 0, map[string]bool{}
	for _, mark := range s.applied {
		var p, seq int
		if _, err := fmt.Sscanf(mark, "%d.%d,", &p, &seq); err != nil {
			s.t.Fatal(err)
		}
		if seen[mark] || p < newest {
			s.t.Fatalf("%s was applied twice, or after a later start's: %v", mark, s.applied)
		}
		newest, seen[mark] = p, true
	}
}

// A number that no clock can have made, whether it comes or is there, shuts nobody out, and
// nothing is applied twice, nor out of the order of the starts.
func TestImplausibleStarts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := &starts{t: t, r: &replica{f: newTestFSM()}, clock: 1_800_000_000_000, node: rapid.SampledFrom([]string{"n1", LargeBatches("n1")}).Draw(t, "lane")}
		s.r.apply(entryOf(s.clock))
		s.start(0)
		// A number as it was believed by nodes that knew no better: what it did is in the state, and
		// under way still. Then the directory was given up.
		believe := func() {
			p := &process{boot: s.current().boot | 1<<rapid.IntRange(62, 63).Draw(t, "bit")}
			s.all = append(s.all, p)
			s.send()
			mark := fmt.Sprintf("%d.1,", len(s.all)-1)
			s.r.apply(entryOf(s.clock, batch("stands for it", 1, 1, 0, "APPEND log "+mark)))
			s.applied = append(s.applied, mark)
			for _, name := range []string{"n1", LargeBatches("n1")} {
				s.r.f.sessions[name] = &session{boot: p.boot}
			}
			s.start(0)
		}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			p := s.current()
			switch rapid.IntRange(0, 7).Draw(t, "step") {
			case 0, 1, 2:
				if err := s.deliver(p, s.send()); errors.Is(err, ErrStaleBoot) {
					s.start(max(p.boot, s.r.f.BootOf("n1")))
				}
			case 3, 4: // something late, or once more
				old := rapid.SampledFrom(s.all).Draw(t, "process")
				if len(old.flying) > 0 {
					_ = s.deliver(old, rapid.SampledFrom(old.flying).Draw(t, "batch"))
				}
			case 5:
				s.start(p.boot)
			case 6: // a wiped node asks the others
				s.start(s.r.f.BootOf("n1"))
			case 7:
				if p.boot <= lastBoot(s.clock) && !slices.ContainsFunc(s.all, func(p *process) bool { return p.boot > 1<<62 }) {
					believe()
				}
			}
			s.check()
		}
		for tries := 0; ; tries++ {
			err := s.deliver(s.current(), s.send())
			if err == nil {
				break
			}
			if tries == 3 {
				t.Fatalf("the node is shut out: %v", err)
			}
			s.clock += 6000 // as long as its clock may be behind
			s.start(max(s.current().boot, s.r.f.BootOf("n1")))
		}
		s.check()
		if b := s.r.f.BootOf("n1"); b != s.current().boot {
			t.Fatalf("start %d is known, not %d", b, s.current().boot)
		}
	})
}

// A number ahead of the log's clock does not enter, by a millisecond, and does a millisecond later.
func TestStartAheadOfTheLogIsRefused(t *testing.T) {
	for _, boot := range []uint64{bootAt(1001+century, 0), bootAt(5000+2*century, 0), math.MaxUint64} {
		r := &replica{f: newTestFSM()}
		r.apply(entryOf(1000, batch("n1", 7, 1, 0, "SET k v")))
		got := r.apply(entryOf(1000, batch("n1", boot, 1, 0, "SET k w")))
		if !errors.Is(got[0].Err, ErrBootAhead) || !errors.Is(got[0].Err, ErrStaleBoot) || r.f.BootOf("n1") != 7 {
			t.Errorf("start %d: %v, start %d is known", boot, got[0].Err, r.f.BootOf("n1"))
		}
		if got := r.apply(entryOf(1001, batch("n1", 7, 2, 1, "GET k"))); got[0].Err != nil || string(got[0].Replies[0].Str) != "v" {
			t.Errorf("the node's own start is refused: %+v", got)
		}
	}
	r := &replica{f: newTestFSM()}
	r.apply(entryOf(1000))
	b := batch("n1", bootAt(1001+century, 0), 1, 0, "SET k w")
	if got := r.apply(entryOf(1001, b)); got[0].Err != nil {
		t.Errorf("a start that is just plausible: %v", got[0].Err)
	}
}

// What a state holds goes in both lanes at once, with those who waited for locks, and
// only when a plausible start comes.
func TestImplausibleSessionIsBuried(t *testing.T) {
	r := &replica{f: newTestFSM()}
	bad := uint64(1)<<63 | 5
	for _, name := range []string{"n1", LargeBatches("n1"), "n2"} {
		r.f.sessions[name] = &session{boot: bad}
	}
	r.apply(entryOf(1000, batch("n1", bad, 1, 0, "SET k old"), batch("n3", 1, 1, 0, "SET k other")))
	if r.f.sessions["n1"].boot != bad {
		t.Error("it went without a plausible start")
	}
	if got := r.f.BootOf("n1"); got != lastBoot(1000) {
		t.Errorf("start %d is told", got)
	}
	late := batch("n1", bootAt(900, 1), 1, 0, "SET k late")
	if got := r.apply(entryOf(2000, late)); !errors.Is(got[0].Err, ErrStaleBoot) {
		t.Errorf("a start that may be an earlier one: %v", got[0].Err)
	}
	if got := r.apply(entryOf(2001, batch("n1", lastBoot(2000), 1, 0, "SET k last"))); !errors.Is(got[0].Err, ErrStaleBoot) {
		t.Errorf("the last number: %v", got[0].Err)
	}
	for _, name := range []string{"n1", LargeBatches("n1")} {
		if got := r.apply(entryOf(2002, batch(name, lastBoot(2000)+1, 1, 0, "SET k new"))); got[0].Err != nil {
			t.Errorf("the next start of %q: %v", name, got[0].Err)
		}
	}
	if got := r.apply(entryOf(9000, batch("n1", bad, 2, 0, "SET k old"), late)); got[0].Err == nil || got[1].Err == nil {
		t.Errorf("what was buried came back: %+v", got)
	}
	if r.f.sessions["n2"].boot != bad {
		t.Error("another node's went with it")
	}
}
