package nemesis

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/lockstepkv/lockstep/jepsen/cluster"
)

// Event is one fault that was injected.
type Event struct {
	Fault  string        `json:"fault"`
	Detail string        `json:"detail"`
	Start  time.Duration `json:"start_ns"` // since the start of the run
	End    time.Duration `json:"end_ns"`   // healed
	Took   bool          `json:"took_effect"`
	// Excused: it could not take effect, because of other faults at the time.
	Excused bool   `json:"excused,omitempty"`
	Note    string `json:"note,omitempty"` // what shows it, or why not
}

// Options of a nemesis.
type Options struct {
	Cluster *cluster.Cluster
	Faults  []string
	Seed    uint64
	Now     func() time.Duration
	// MinHold and MaxHold bound how long a fault lasts; the same for pauses
	// between faults. The defaults are longer than elections.
	MinHold, MaxHold time.Duration
}

// class is what a fault meddles with.
type class string

const (
	processes  class = "processes"
	network    class = "network"
	loss       class = "loss"
	clocks     class = "clocks"
	leadership class = "leadership"
	processor  class = "processor"
	disks      class = "disks"
)

// fault is one kind of fault. inject returns how to end it; heal then says
// whether it took effect. Both get the lane's randomness.
type fault struct {
	name   string
	class  class
	inject func(ctx context.Context, n *Nemesis, rng *rand.Rand) (detail string, heal healFunc, err error)
}

// healFunc ends a fault. A nil error means that it took effect, shows says how
// that was seen.
type healFunc func(ctx context.Context) (shows string, err error)

// errSkipped is returned by inject when the fault does not fit now.
var errSkipped = errors.New("skipped")

// errNoChance is returned by a heal when other faults kept this one from having
// an effect.
var errNoChance = errors.New("other faults left it no chance")

// faults lists all of them.
func faults() []fault {
	return []fault{
		{"kill-leader", processes, killLeader},
		{"kill-minority", processes, killMinority},
		{"kill-majority", processes, killMajority},
		{"kill-all", processes, killAll},
		{"pause", processes, pause},
		{"stutter", processes, stutter},
		{"transfer-paused", processes, transferPaused},
		{"transfer-down", processes, transferDown},
		{"wipe", processes, wipe},
		{amnesiaName, processes, amnesia},
		{"bitflip", processes, bitflip},
		{"power-minority", processes, powerMinority},
		{"power-all", processes, powerAll},
		{"power-dying", processes, powerDying},
		{"eio", disks, failingFsync},
		{"enospc", disks, fullDisk},
		{HangingFsync, disks, hungFsync},
		{"slowdisk", disks, slowDisk},
		{"partition-leader", network, partitionLeader},
		{"partition-halves", network, partitionHalves},
		{"partition-ring", network, partitionRing},
		{"partition-bridge", network, partitionBridge},
		{"partition-oneway", network, partitionOneWay},
		{"transfer-cut", network, transferCut},
		{"loss", loss, lossy},
		{"transfer", leadership, transfer},
		{"transfer-twice", leadership, transferTwice},
		{"starve", processor, starve},
		{"clock", clocks, clockJump},
		{"clock-day", clocks, clockDay},
		{ClocksSet, clocks, clocksSet},
		{"drift", clocks, clockDrift},
	}
}

// Snapshots is the fault that is a setting: snapshots all the time.
const Snapshots = "snapshots"

// Names lists the faults by name, groups included.
func Names() []string {
	names := []string{"none", "kill", "power", "partition", "all", Snapshots}
	for _, f := range faults() {
		names = append(names, f.name)
	}
	return names
}

// Able is what the machine allows for.
type Able struct {
	Loss, Disks bool
}

// missing is the reason for which a fault is not to be had.
func (a Able) missing(f fault) error {
	switch {
	case f.class == loss:
		if !a.Loss {
			return cluster.ErrNoLoss
		}
	case f.needsDisk():
		if !a.Disks {
			return cluster.ErrNoDisks
		}
	}
	return nil
}

func (f fault) needsDisk() bool { return f.class == disks || strings.HasPrefix(f.name, "power-") }

// NeedsDisks reports whether any of the faults, as Expand returns them, takes
// disks that can fail.
func NeedsDisks(list []string) bool {
	return slices.ContainsFunc(faults(), func(f fault) bool { return f.needsDisk() && slices.Contains(list, f.name) })
}

// WrongClocks reports whether any of the faults sets clocks wrong.
func WrongClocks(list []string) bool {
	return slices.ContainsFunc(faults(), func(f fault) bool { return f.class == clocks && slices.Contains(list, f.name) })
}

// MajorityRestarts reports whether any of the faults starts a majority of the nodes
// again at a time, or may.
func MajorityRestarts(list []string) bool {
	return slices.ContainsFunc(faults(), func(f fault) bool {
		several := f.class == disks || slices.Contains([]string{"kill-majority", "kill-all", "power-all", "power-dying"}, f.name)
		return several && slices.Contains(list, f.name)
	})
}

// Expand resolves the groups: "kill", "power", "partition" and "all". Faults that
// are not to be had here are left out of groups and returned as leftOut; a group
// of which nothing is left is an error, but for "all", which always has some.
func Expand(list []string, able Able) (out, leftOut []string, err error) {
	for _, want := range list {
		switch want {
		case "none", "":
			continue
		case Snapshots:
			out = with(out, want)
			continue
		}
		members := membersOf(want)
		if len(members) == 0 {
			return nil, nil, fmt.Errorf("no fault %q; there are %s", want, strings.Join(Names(), ", "))
		}
		left, last := 0, error(nil)
		for _, f := range members {
			if missing := able.missing(f); missing != nil {
				left, last = left+1, missing
				leftOut = with(leftOut, f.name)
				continue
			}
			out = with(out, f.name)
		}
		if left == len(members) {
			return nil, nil, fmt.Errorf("fault %s: %w", want, last)
		}
		if want == "all" {
			out = with(out, Snapshots)
		}
	}
	return out, leftOut, nil
}

// membersOf are the faults that a name or a group stands for. All clocks set at once
// are a fault that only those workloads bear which do not look at the wall clock, so
// it is in no group.
func membersOf(name string) (members []fault) {
	for _, f := range faults() {
		if f.name == name || name == "all" && f.name != ClocksSet || strings.HasPrefix(f.name, name+"-") && f.name != ClocksSet {
			members = append(members, f)
		}
	}
	return members
}

func with(list []string, name string) []string {
	if slices.Contains(list, name) {
		return list
	}
	return append(list, name)
}

// Nemesis injects faults.
type Nemesis struct {
	opt   Options
	nodes []*cluster.Node

	gate chan struct{} // one place for each fault at work; nil: no bound

	cutting sync.Mutex // held by the one fault that cuts connections; before mu

	mu      sync.Mutex
	events  []Event                // guarded by mu
	rules   cluster.Rules          // guarded by mu
	dropped map[cluster.Pair]int64 // by rules before the present ones; guarded by mu
	touched []time.Time            // per node: when it was last being killed, started, paused; guarded by mu
	damaged *cluster.Node          // lost data and is not known to be repaired; guarded by mu
	// depriving: damaged is about to lose its data; guarded by mu.
	depriving bool
}

// New returns a nemesis.
func New(o Options) *Nemesis {
	if o.MinHold == 0 {
		o.MinHold = time.Second
	}
	if o.MaxHold == 0 {
		o.MaxHold = 2500 * time.Millisecond
	}
	return &Nemesis{opt: o, nodes: o.Cluster.Nodes, touched: make([]time.Time, len(o.Cluster.Nodes)), dropped: map[cluster.Pair]int64{}}
}

// Run injects faults for a time, longer if that is too short for each kind to
// have its turn. It heals each fault before it returns.
func (n *Nemesis) Run(ctx context.Context, d time.Duration) {
	until := time.Now().Add(d)
	lanes := map[class][]fault{}
	for _, f := range faults() {
		if slices.Contains(n.opt.Faults, f.name) {
			lanes[f.class] = append(lanes[f.class], f)
		}
	}
	if len(lanes) > atOnce {
		n.gate = make(chan struct{}, atOnce)
	}
	var wg sync.WaitGroup
	for cl, list := range lanes {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(n.opt.Seed, hash(string(cl))))
			n.lane(ctx, until, list, rng)
		})
	}
	wg.Wait()
}

func hash(s string) uint64 {
	h := uint64(14695981039346656037)
	for _, b := range []byte(s) {
		h = (h ^ uint64(b)) * 1099511628211
	}
	return h
}

// lane injects one fault after the other. All kinds have their turn before one
// comes again, in a random order. One that does not fit, or does not take effect,
// comes again at the end of the round.
func (n *Nemesis) lane(ctx context.Context, until time.Time, list []fault, rng *rand.Rand) {
	var deck []fault
	skipped := 0
	sleep(ctx, n.between(rng, n.opt.MinHold/2, n.opt.MinHold))
	for round := 0; ctx.Err() == nil; {
		if len(deck) == 0 {
			round++
			deck, skipped = slices.Clone(list), 0
			rng.Shuffle(len(deck), func(i, j int) { deck[i], deck[j] = deck[j], deck[i] })
		}
		if round > 1 && time.Now().After(until) {
			return
		}
		f := deck[0]
		deck = deck[1:]
		hold := n.between(rng, n.opt.MinHold, n.opt.MaxHold)
		quiet := n.between(rng, n.opt.MinHold/2, n.opt.MaxHold)
		leave := n.enter(ctx)
		took := n.once(ctx, f, hold, rand.New(rand.NewPCG(rng.Uint64(), rng.Uint64())))
		if !took && skipped < 2*len(list) {
			skipped++
			deck = append(deck, f)
		}
		if n.gate != nil {
			n.calm(ctx)
		}
		leave()
		sleep(ctx, quiet)
	}
}

// atOnce is how many faults of different classes are at work at a time. With more,
// hardly anything succeeds while they are, and what nobody answers cannot be
// judged.
const atOnce = 2

// enter waits until there is room for another fault.
func (n *Nemesis) enter(ctx context.Context) (leave func()) {
	if n.gate == nil {
		return func() {}
	}
	select {
	case n.gate <- struct{}{}:
		return func() { <-n.gate }
	case <-ctx.Done():
		return func() {}
	}
}

// calmPatience is how long a fault that was healed keeps its place, for the cluster
// to serve again.
const calmPatience = 1500 * time.Millisecond

// calm waits until shard 0 has a leader again, for a moment.
func (n *Nemesis) calm(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, calmPatience)
	defer cancel()
	for ctx.Err() == nil {
		if _, err := n.opt.Cluster.Leader(ctx, 0); err == nil {
			sleep(ctx, 300*time.Millisecond)
			return
		}
		sleep(ctx, 50*time.Millisecond)
	}
}

func (n *Nemesis) between(rng *rand.Rand, low, high time.Duration) time.Duration {
	return low + time.Duration(rng.Int64N(int64(high-low)+1))
}

// once injects one fault, holds it, heals it and notes what became of it. It
// reports whether the fault took effect.
func (n *Nemesis) once(ctx context.Context, f fault, hold time.Duration, rng *rand.Rand) bool {
	e := Event{Fault: f.name, Start: n.opt.Now()}
	detail, heal, err := f.inject(ctx, n, rng)
	if errors.Is(err, errSkipped) {
		return false
	}
	e.Detail = detail
	if err == nil {
		sleep(ctx, hold)
		e.Note, err = heal(context.WithoutCancel(ctx))
	}
	e.End = n.opt.Now()
	if e.Took = err == nil; !e.Took {
		e.Note, e.Excused = err.Error(), errors.Is(err, errNoChance)
	}
	n.mu.Lock()
	n.events = append(n.events, e)
	n.mu.Unlock()
	return e.Took
}

// Events returns what was injected, in the order of the beginnings.
func (n *Nemesis) Events() []Event {
	n.mu.Lock()
	defer n.mu.Unlock()
	out := slices.Clone(n.events)
	slices.SortStableFunc(out, func(a, b Event) int { return int(a.Start - b.Start) })
	return out
}

// Missing lists the faults that were asked for and never took effect.
func (n *Nemesis) Missing() []string {
	var out []string
	events := n.Events()
	for _, name := range n.opt.Faults {
		took := func(e Event) bool { return e.Fault == name && e.Took }
		if name != Snapshots && !slices.ContainsFunc(events, took) {
			out = append(out, name)
		}
	}
	return out
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
