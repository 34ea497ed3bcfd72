package elle

// kind is why one transaction comes before another. Kinds are bits, so that a
// set of them selects a part of the graph.
type kind uint8

const (
	ww       kind = 1 << iota // the other overwrote (appended after) its append
	wr                        // the other read its append
	rw                        // the other overwrote what it read
	process                   // the same client did the other afterwards
	realTime                  // it had returned before the other was called
	via                       // from a node in between; the reason is on the way in
)

func (k kind) String() string {
	switch k {
	case ww:
		return "ww"
	case wr:
		return "wr"
	case rw:
		return "rw"
	case process:
		return "process"
	case realTime:
		return "real-time"
	}
	return "via"
}

type edge struct {
	from, to  int32
	kind      kind
	key, word string // of data dependencies
}

// graph has transactions as its first nodes, then nodes in between.
type graph struct {
	nodes int
	edges []edge
	// start and out list the edges by their origin, once sealed: those of node
	// n are edges[out[start[n]]], ..., edges[out[start[n+1]-1]].
	start, out []int32
}

// node adds a node in between.
func (g *graph) node() int {
	g.nodes++
	return g.nodes - 1
}

// add joins two nodes. Edges of unknown nodes (-1) and to the same node say
// nothing and are left out.
func (g *graph) add(from, to int, kind kind, key, word string) {
	if from >= 0 && to >= 0 && from != to {
		g.edges = append(g.edges, edge{int32(from), int32(to), kind, key, word})
	}
}

// seal sorts the edges by their origin.
func (g *graph) seal() {
	g.start = make([]int32, g.nodes+1)
	for i := range g.edges {
		g.start[g.edges[i].from+1]++
	}
	for n := range g.nodes {
		g.start[n+1] += g.start[n]
	}
	fill := make([]int32, g.nodes)
	copy(fill, g.start)
	g.out = make([]int32, len(g.edges))
	for i := range g.edges {
		from := g.edges[i].from
		g.out[fill[from]] = int32(i)
		fill[from]++
	}
}

// components numbers the strongly connected components of the part of the graph
// whose edges are of the given kinds (Tarjan, 1972, without recursion). Nodes
// that are alone in theirs get -1.
func (g *graph) components(kinds kind) (component []int32, count int) {
	t := &tarjan{g: g, kinds: kinds | via,
		component: make([]int32, g.nodes), index: make([]int32, g.nodes), low: make([]int32, g.nodes),
		onStack: make([]bool, g.nodes)}
	for n := range t.component {
		t.component[n] = -1
	}
	for n := range g.nodes {
		if t.index[n] == 0 {
			t.visit(int32(n))
		}
	}
	return t.component, t.count
}

type tarjan struct {
	g          *graph
	kinds      kind
	component  []int32
	index, low []int32 // index counts from 1
	onStack    []bool
	stack      []int32
	calls      []frame
	next       int32
	count      int
}

// frame is a node whose edges before place were followed.
type frame struct{ node, place int32 }

func (t *tarjan) visit(root int32) {
	t.enter(root)
	for len(t.calls) > 0 {
		top := &t.calls[len(t.calls)-1]
		if top.place < t.g.start[top.node+1] {
			e := &t.g.edges[t.g.out[top.place]]
			top.place++
			switch {
			case e.kind&t.kinds == 0:
			case t.index[e.to] == 0:
				t.enter(e.to)
			case t.onStack[e.to]:
				t.low[top.node] = min(t.low[top.node], t.index[e.to])
			}
			continue
		}
		node := top.node
		t.calls = t.calls[:len(t.calls)-1]
		if len(t.calls) > 0 {
			above := t.calls[len(t.calls)-1].node
			t.low[above] = min(t.low[above], t.low[node])
		}
		if t.low[node] == t.index[node] {
			t.leave(node)
		}
	}
}

func (t *tarjan) enter(node int32) {
	t.next++
	t.index[node], t.low[node] = t.next, t.next
	t.stack, t.onStack[node] = append(t.stack, node), true
	t.calls = append(t.calls, frame{node, t.g.start[node]})
}

// leave takes a finished component off the stack.
func (t *tarjan) leave(root int32) {
	at := len(t.stack) - 1
	for t.stack[at] != root {
		at--
	}
	alone := at == len(t.stack)-1
	for _, node := range t.stack[at:] {
		t.onStack[node] = false
		if !alone {
			t.component[node] = int32(t.count)
		}
	}
	t.stack = t.stack[:at]
	if !alone {
		t.count++
	}
}
