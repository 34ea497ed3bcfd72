package nemesis

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/lockstepkv/lockstep/jepsen/cluster"
)

func TestExpand(t *testing.T) {
	everything := Able{Loss: true, Disks: true}
	for _, c := range []struct {
		list []string
		able Able
		want []string
		err  error
	}{
		{[]string{"none"}, everything, nil, nil},
		{[]string{"kill"}, Able{}, []string{"kill-leader", "kill-minority", "kill-majority", "kill-all"}, nil},
		{[]string{"pause", "kill-all", "pause"}, Able{}, []string{"pause", "kill-all"}, nil},
		{[]string{"power"}, everything, []string{"power-minority", "power-all", "power-dying"}, nil},
		{[]string{"snapshots"}, Able{}, []string{"snapshots"}, nil},
		{[]string{"power-all"}, Able{Loss: true}, nil, cluster.ErrNoDisks},
		{[]string{"eio"}, Able{Loss: true}, nil, cluster.ErrNoDisks},
		{[]string{"loss"}, Able{Disks: true}, nil, cluster.ErrNoLoss},
		{[]string{"partition-ring"}, Able{}, []string{"partition-ring"}, nil},
		// Nothing is left of the group: a run without it must not look like one with it.
		{[]string{"power"}, Able{Loss: true}, nil, cluster.ErrNoDisks},
		{[]string{"kill-all", "power"}, Able{Loss: true}, nil, cluster.ErrNoDisks},
	} {
		got, _, err := Expand(c.list, c.able)
		if !slices.Equal(got, c.want) || !errors.Is(err, c.err) {
			t.Errorf("Expand(%v, %+v) = %v, %v; want %v, %v", c.list, c.able, got, err, c.want, c.err)
		}
	}
	if _, _, err := Expand([]string{"meteor"}, everything); err == nil {
		t.Error("an unknown fault is no error")
	}
	all, left, err := Expand([]string{"all"}, everything)
	if err != nil || len(left) != 0 || len(all) != len(faults()) { // with snapshots, without clock-all
		t.Errorf("all is %d faults of %d: %v", len(all), len(faults()), err)
	}
	less, left, err := Expand([]string{"all"}, Able{})
	want := []string{"power-minority", "power-all", "power-dying", "eio", "enospc", "hungfsync", "slowdisk", "loss"}
	if err != nil || !slices.Equal(left, want) || slices.Contains(less, "loss") || slices.Contains(less, "power-all") || !slices.Contains(less, "kill-all") {
		t.Errorf("all without namespaces and disks: %v without %v, %v", less, left, err)
	}
}

var errBroken = errors.New("the fault blocked nothing")

// play lets a nemesis inject made-up faults. "later" does not fit at first, "weak"
// never has a chance, "broken" takes no effect for no good reason.
func play(seed uint64) *Nemesis {
	n := New(Options{Cluster: &cluster.Cluster{}, Now: func() time.Duration { return 0 }, Faults: []string{"a", "b", "later", "weak", "broken"},
		MinHold: time.Microsecond, MaxHold: 2 * time.Microsecond})
	refusals := 2
	make := func(name string, healed error) fault {
		return fault{name: name, inject: func(_ context.Context, _ *Nemesis, rng *rand.Rand) (string, healFunc, error) {
			if name == "later" && refusals > 0 {
				refusals--
				return "", nil, errSkipped
			}
			return fmt.Sprint(rng.IntN(1000)), func(context.Context) (string, error) { return "seen", healed }, nil
		}}
	}
	list := []fault{make("a", nil), make("b", nil), make("later", nil), make("weak", fmt.Errorf("%w: asleep", errNoChance)), make("broken", errBroken)}
	n.lane(context.Background(), time.Now(), list, rand.New(rand.NewPCG(seed, 1)))
	return n
}

func TestEveryFaultHasItsTurn(t *testing.T) {
	n := play(1)
	if got, want := n.Missing(), []string{"weak", "broken"}; !slices.Equal(got, want) {
		t.Errorf("missing %v, want %v: without an effect nothing was tested", got, want)
	}
	excused := map[string]bool{}
	for _, e := range n.Events() {
		if e.Took != slices.Contains([]string{"a", "b", "later"}, e.Fault) {
			t.Errorf("%s took effect: %v", e.Fault, e.Took)
		}
		if !e.Took {
			excused[e.Fault] = e.Excused
		}
	}
	if want := map[string]bool{"weak": true, "broken": false}; !reflect.DeepEqual(excused, want) {
		t.Errorf("excused: %v, want %v", excused, want)
	}
}

func TestFaultsFollowFromTheSeed(t *testing.T) {
	if first, again := play(7).Events(), play(7).Events(); !reflect.DeepEqual(first, again) {
		t.Errorf("two runs of one seed:\n%+v\n%+v", first, again)
	}
	if reflect.DeepEqual(play(7).Events(), play(8).Events()) {
		t.Error("another seed is the same run")
	}
}
