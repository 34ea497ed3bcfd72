package elle

import (
	"slices"
	"time"

	"github.com/lockstepkv/lockstep/jepsen/history"
)

// depend builds the graph: a node for each place in the history, and some
// nodes in between that save edges.
func (in *inference) depend() *graph {
	g := &graph{nodes: len(in.ops)}
	for _, k := range in.keys {
		in.dependOnKey(g, k)
	}
	in.processOrder(g)
	in.realTimeOrder(g)
	for _, c := range in.committed {
		if c {
			in.result.Txns++
		}
	}
	in.result.Edges = len(g.edges)
	return g
}

// writer is the transaction of a word, -1 when it cannot be used.
func (in *inference) writer(k *key, word string) int {
	from := k.words[word]
	if from == nil || !in.committed[from.op] {
		return -1
	}
	return from.op
}

func (in *inference) dependOnKey(g *graph, k *key) {
	for i := 1; i < len(k.version); i++ {
		g.add(in.writer(k, k.version[i-1]), in.writer(k, k.version[i]), ww, k.name, k.version[i])
	}
	for _, r := range k.reads {
		n := len(r.list)
		if n > 0 {
			g.add(in.writer(k, r.list[n-1]), r.op, wr, k.name, r.list[n-1])
		}
		if n < len(k.version) {
			g.add(r.op, in.writer(k, k.version[n]), rw, k.name, k.version[n])
		}
	}
	in.dependOnUnseen(g, k)
}

// dependOnUnseen orders the appends that no read saw. Lists only grow, so these
// come after all that was seen: after the writer of the last word seen, and
// after those who read up to it. A node in between stands for the edges from
// each of the latter to each unseen append.
func (in *inference) dependOnUnseen(g *graph, k *key) {
	var unseen []string
	writes := map[int]bool{}
	for _, word := range k.order {
		if from := k.words[word]; !from.seen && in.committed[from.op] {
			unseen = append(unseen, word)
			writes[from.op] = true
		}
	}
	in.result.Unobserved += len(unseen)
	if len(unseen) == 0 {
		return
	}
	between := g.node()
	for _, word := range unseen {
		g.add(between, in.writer(k, word), via, k.name, word)
	}
	before := func(from int, kind kind) {
		if from < 0 || !writes[from] {
			g.add(from, between, kind, k.name, unseen[0])
			return
		}
		// Through the node in between it would come before itself.
		for _, word := range unseen {
			g.add(from, in.writer(k, word), kind, k.name, word)
		}
	}
	if n := len(k.version); n > 0 {
		before(in.writer(k, k.version[n-1]), ww)
	}
	for _, r := range k.reads {
		if len(r.list) == len(k.version) {
			before(r.op, rw)
		}
	}
}

// processOrder joins the transactions of each client. Nothing follows from one
// in doubt to the next.
func (in *inference) processOrder(g *graph) {
	last := map[int]int{}
	for i := range in.ops {
		op := &in.ops[i]
		if !in.committed[i] {
			continue
		}
		if before, known := last[op.Client]; known {
			g.add(before, i, process, "", "")
		}
		if op.Outcome == history.OK {
			last[op.Client] = i
		}
	}
}

// realTimeOrder joins each transaction to all that were called after it
// returned, by a chain of nodes, one for each moment at which any returned.
func (in *inference) realTimeOrder(g *graph) {
	var moments []time.Duration
	for i := range in.ops {
		if in.committed[i] && in.ops[i].Outcome == history.OK {
			moments = append(moments, in.ops[i].Return)
		}
	}
	slices.Sort(moments)
	moments = slices.Compact(moments)
	first := g.nodes
	for i := range moments {
		node := g.node()
		if i > 0 {
			g.add(node-1, node, via, "", "")
		}
	}
	for i := range in.ops {
		op := &in.ops[i]
		if !in.committed[i] {
			continue
		}
		if op.Outcome == history.OK {
			at, _ := slices.BinarySearch(moments, op.Return)
			g.add(i, first+at, realTime, "", "")
		}
		if at, _ := slices.BinarySearch(moments, op.Call); at > 0 {
			g.add(first+at-1, i, via, "", "")
		}
	}
}
