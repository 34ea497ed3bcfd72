package elle

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/lockstepkv/lockstep/jepsen/history"
)

// txn makes an answered transaction from steps like "x+1" (append 1 to x) and
// "x=1 2" (read x, seeing 1 and 2). A negative end is in doubt.
func txn(client, call, end int, steps ...string) Op {
	op := Op{Meta: history.Meta{Client: client, Kind: "txn", Call: time.Duration(call) * time.Millisecond,
		Return: time.Duration(end) * time.Millisecond, Outcome: history.OK}}
	for _, step := range steps {
		if key, word, isAppend := strings.Cut(step, "+"); isAppend {
			m := MicroOp{Append: true, Key: key, Word: word}
			op.Input, op.Output = append(op.Input, m), append(op.Output, m)
			continue
		}
		key, list, _ := strings.Cut(step, "=")
		op.Input = append(op.Input, MicroOp{Key: key})
		op.Output = append(op.Output, MicroOp{Key: key, List: strings.Fields(list)})
	}
	if end < 0 {
		op.Return, op.Outcome, op.Output = history.Forever, history.InDoubt, nil
	}
	return op
}

func failedTxn(op Op) Op {
	op.Outcome, op.Output = history.Fail, nil
	return op
}

func in(ops ...Op) []Op {
	slices.SortStableFunc(ops, func(a, b Op) int { return cmp.Compare(a.Call, b.Call) })
	for i := range ops {
		ops[i].ID = i
	}
	return ops
}

func types(r Result) []string {
	var list []string
	for _, a := range r.Anomalies {
		list = append(list, a.Type)
	}
	slices.Sort(list)
	return slices.Compact(list)
}

func TestClassicHistories(t *testing.T) {
	for _, c := range []struct {
		name string
		ops  []Op
		want []string
	}{
		{"serial", in(txn(0, 0, 1, "x+1", "y+1"), txn(1, 2, 3, "x=1", "x+2", "x=1 2"), txn(2, 4, 5, "x=1 2", "y=1")), nil},
		{"concurrent reads of before and after", in(txn(0, 0, 9, "x+1"), txn(1, 2, 3, "x="), txn(2, 4, 5, "x=1")), nil},
		{"dirty write (G0)", in(txn(0, 0, 9, "x+1", "y+1"), txn(1, 0, 9, "x+2", "y+2"), txn(2, 0, 9, "x=1 2"), txn(3, 0, 9, "y=2 1")), []string{G0}},
		{"dirty read (G1a)", in(failedTxn(txn(0, 0, 9, "x+1")), txn(1, 1, 2, "x=1")), []string{G1a}},
		{"dirty read that was overwritten", in(failedTxn(txn(0, 0, 9, "x+1")), txn(1, 1, 2, "x+2"), txn(2, 3, 4, "x=1 2")), []string{G1a}},
		{"intermediate read (G1b)", in(txn(0, 0, 9, "x+1", "x+2"), txn(1, 1, 2, "x=1"), txn(2, 1, 2, "x=1 2")), []string{GSingle, G1b}},
		{"own intermediate read", in(txn(0, 0, 9, "x+1", "x=1", "x+2", "x=1 2")), nil},
		{"circular information flow (G1c)", in(txn(0, 0, 9, "x+1", "y=1"), txn(1, 0, 9, "y+1", "x=1")), []string{G1c}},
		{"lost update (G-single)", in(txn(0, 0, 9, "x=", "x+1"), txn(1, 0, 9, "x=", "x+2"), txn(2, 10, 11, "x=1 2")), []string{GSingle}},
		{"read skew (G-single)", in(txn(0, 0, 9, "x+1", "y+1"), txn(1, 0, 9, "x=1", "y=")), []string{GSingle}},
		{"write skew (G2)", in(txn(0, 0, 9, "x=", "y+1"), txn(1, 0, 9, "y=", "x+1"), txn(2, 10, 11, "x=1", "y=1")), []string{G2}},
		{"long fork (G2)", in(txn(0, 0, 9, "x+1"), txn(1, 0, 9, "y+1"), txn(2, 0, 9, "x=1", "y="), txn(3, 0, 9, "x=", "y=1")), []string{G2}},
		{"stale read (real time)", in(txn(0, 0, 1, "x+1"), txn(1, 2, 3, "x=1"), txn(2, 4, 5, "x=")), []string{GSingle + Realtime}},
		{"own write missed (process)", in(txn(0, 0, 1, "x+1"), txn(0, 2, 3, "x="), txn(1, 2, 3, "x=1")), []string{GSingle + Process}},
		{"appends against real time", in(txn(0, 0, 1, "x+1"), txn(1, 2, 3, "x+2"), txn(2, 0, 9, "x=2 1")), []string{G0 + Realtime}},
		{"read before the append began", in(txn(0, 0, 1, "x=1"), txn(1, 2, 3, "x+1")), []string{G1c + Realtime}},
		{"causality across keys and time", in(txn(0, 0, 1, "x+1"), txn(1, 2, 3, "y+1"), txn(2, 0, 9, "y=1", "x=")), []string{GSingle + Realtime}},
		{"write skew against real time", in(txn(0, 0, 3, "x=", "y+1"), txn(1, 0, 1, "z+1"), txn(2, 2, 9, "z=", "w+1"), txn(3, 4, 5, "w=1", "y=")), []string{GSingle + Realtime}},
		{"acknowledged append lost", in(txn(0, 0, 1, "x+1"), txn(1, 2, 3, "x=")), []string{GSingle + Realtime}},
		{"acknowledged append lost in the middle", in(txn(0, 0, 1, "x+1"), txn(1, 2, 3, "x+2"), txn(2, 4, 5, "x=2")), []string{GSingle + Realtime, G0 + Realtime}},
		{"append after the last read", in(txn(0, 0, 1, "x="), txn(1, 2, 3, "x+1"), txn(2, 2, 3, "x+2")), nil},
		{"reads, then appends unseen", in(txn(0, 0, 1, "x=", "x+1")), nil},
		{"two unseen updates of one version", in(txn(0, 0, 9, "x=", "x+1"), txn(1, 0, 9, "x=", "x+2")), []string{G2}},
		{"in doubt, seen", in(txn(0, 0, -1, "x+1", "y+1"), txn(1, 2, 3, "x=", "y="), txn(2, 4, 5, "x=1", "y=1")), nil},
		{"in doubt, never seen", in(txn(0, 0, -1, "x+1"), txn(1, 2, 3, "x=")), nil},
		{"in doubt, half seen", in(txn(0, 0, -1, "x+1", "y+1"), txn(2, 4, 5, "x=1", "y=")), []string{GSingle}},
		{"in doubt, taken back", in(txn(0, 0, -1, "x+1"), txn(1, 2, 3, "x=1"), txn(2, 4, 5, "x=")), []string{GSingle + Realtime}},
		{"contradicts itself", in(txn(0, 0, 1, "x+1", "x=")), []string{Internal}},
		{"reads differ within a transaction", in(txn(0, 0, 1, "x=", "x=1"), txn(1, 0, 1, "x+1")), []string{Internal}},
		{"incompatible orders", in(txn(0, 0, 9, "x+1"), txn(1, 0, 9, "x+2"), txn(2, 0, 9, "x=1 2"), txn(3, 0, 9, "x=2 1")), []string{IncompatibleOrder}},
		{"split brain", in(txn(0, 0, 9, "x+1"), txn(1, 0, 9, "x+2"), txn(2, 0, 9, "x=1"), txn(3, 0, 9, "x=2")), []string{IncompatibleOrder}},
		{"duplicate", in(txn(0, 0, 9, "x+1"), txn(2, 0, 9, "x=1 1")), []string{DuplicateElements}},
		{"phantom", in(txn(0, 0, 9, "x=1")), []string{Phantom}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := Check(c.ops)
			slices.Sort(c.want)
			if got := types(r); !slices.Equal(got, c.want) {
				t.Errorf("got %v, want %v: %+v", got, c.want, r)
			}
		})
	}
}

func TestTextShowsTheCycle(t *testing.T) {
	r := Check(in(txn(0, 0, 1, "x=", "x+1"), txn(1, 0, 9, "x=", "x+2"), txn(2, 10, 11, "x=1 2")))
	if len(r.Anomalies) != 1 {
		t.Fatalf("%+v", r)
	}
	a := r.Anomalies[0]
	for _, part := range []string{"a lost update", "-rw-> T", "-ww-> T", "appended 2 to x after", "read x without 1"} {
		if !strings.Contains(a.Text, part) {
			t.Errorf("%q is not in\n%s", part, a.Text)
		}
	}
	if a.Key != "x" || len(a.Ops) != 2 {
		t.Errorf("%+v", a)
	}
}

func TestShortestCycleIsShown(t *testing.T) {
	// A cycle of four transactions and one of two in the same component.
	r := Check(in(
		txn(0, 0, 9, "a+1", "d=1"), txn(1, 0, 9, "b+1", "a=1"), txn(2, 0, 9, "c+1", "b=1"), txn(3, 0, 9, "d+1", "c=1", "e+1", "f=1"),
		txn(4, 0, 9, "f+1", "e=1")))
	if len(r.Anomalies) != 1 || r.Anomalies[0].Type != G1c || len(r.Anomalies[0].Ops) != 2 {
		t.Errorf("%+v", r)
	}
}

func TestMalformed(t *testing.T) {
	if r := Check(in(txn(0, 0, 1, "x+1"), txn(1, 0, 1, "x+1"))); r.Malformed == "" {
		t.Errorf("a word appended twice: %+v", r)
	}
	op := txn(0, 0, 1, "x=")
	op.Output = nil
	if r := Check(in(op)); r.Malformed == "" {
		t.Errorf("no answers: %+v", r)
	}
}

// TestComponents compares Tarjan's algorithm with reachability on random graphs.
func TestComponents(t *testing.T) {
	for seed := range 200 {
		rng := rand.New(rand.NewPCG(uint64(seed), 1))
		g := &graph{nodes: 12}
		for range 16 {
			g.add(rng.IntN(12), rng.IntN(12), []kind{ww, wr, rw, via}[rng.IntN(4)], "", "")
		}
		g.seal()
		const kinds = ww | wr
		component, _ := g.components(kinds)
		var reach [12][12]bool
		for _, e := range g.edges {
			reach[e.from][e.to] = reach[e.from][e.to] || e.kind&(kinds|via) != 0
		}
		for k := range 12 {
			for i := range 12 {
				for j := range 12 {
					reach[i][j] = reach[i][j] || reach[i][k] && reach[k][j]
				}
			}
		}
		for i := range 12 {
			for j := range 12 {
				together := i != j && reach[i][j] && reach[j][i]
				if i != j && together != (component[i] >= 0 && component[i] == component[j]) {
					t.Fatalf("seed %d: nodes %d and %d: %v, components %v", seed, i, j, together, component)
				}
			}
		}
	}
}

// TestBackIsShortest compares the search with distances found by relaxation.
func TestBackIsShortest(t *testing.T) {
	for seed := range 300 {
		rng := rand.New(rand.NewPCG(uint64(seed), 2))
		g := &graph{nodes: 10}
		g.add(0, 1, rw, "", "0")
		for i := range 18 {
			from, to := rng.IntN(10), rng.IntN(10)
			k := ww
			if from >= 6 { // nodes in between have only such edges
				k = via
			}
			g.add(from, to, k, "", strconv.Itoa(i))
		}
		g.seal()
		distance := [10]int{}
		for n := range distance {
			distance[n] = 1000
		}
		distance[1] = 0
		for range 10 {
			for _, e := range g.edges {
				if e.kind == rw {
					continue
				}
				cost := 1
				if e.kind == via {
					cost = 0
				}
				distance[e.to] = min(distance[e.to], distance[e.from]+cost)
			}
		}
		cy := newSearch(g, make([]int32, 10)).back(0, ww|via, 0)
		want := distance[0] + 1
		if distance[0] == 1000 {
			want = 0
		}
		if len(cy) != want {
			t.Fatalf("seed %d: length %d, want %d", seed, len(cy), want)
		}
		for i := range cy {
			if cy[i].to != cy[(i+1)%len(cy)].from {
				t.Fatalf("seed %d: %v is no cycle", seed, cy)
			}
		}
	}
}
