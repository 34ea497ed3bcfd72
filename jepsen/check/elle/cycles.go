package elle

const (
	maxCyclesPerClass = 8     // listed; each component shows a class once
	maxStarts         = 2_000 // edges of a component tried for a shorter cycle
	maxSteps          = 20_000_000
)

// class is a kind of cycle: it starts with an edge of one kind and returns over
// edges of others.
type class struct {
	name   string
	within kind // a component of these edges holds such cycles
	first  kind // each cycle has one of these
	rest   kind
}

func classes() []class {
	return []class{
		{G0, ww, ww, ww},
		{G1c, ww | wr, wr, ww | wr},
		{GSingle, ww | wr | rw, rw, ww | wr},
		{G2, ww | wr | rw, rw, ww | wr | rw},
	}
}

// cycle is a list of edges, each beginning where the one before ended. The
// nodes in between are left out.
type cycle []edge

// findCycles looks for each class without any order of clients first, then with
// the order of single clients, then with real time. A class that was found is
// not looked for with more edges. Whenever there is any cycle, one is found.
func findCycles(g *graph) []cycle {
	var all []cycle
	var spare cycle
	found := map[string]bool{}
	for _, extra := range []kind{0, process, process | realTime} {
		whole, count := g.components(ww | wr | rw | extra)
		if count == 0 {
			continue
		}
		for _, c := range classes() {
			if found[c.name] {
				continue
			}
			components := whole
			if c.within != ww|wr|rw {
				components, _ = g.components(c.within | extra)
			}
			list, other := searchClass(g, c, extra, components)
			found[c.name] = len(list) > 0
			all = append(all, list...)
			if spare == nil {
				spare = other
			}
		}
	}
	if len(all) == 0 && spare != nil {
		// The search for the right class was given up; its name is that of a
		// weaker contradiction, but it is one.
		all = append(all, spare)
	}
	return all
}

// searchClass gives the shortest cycle of the class that was found in each of
// the first few components, and some cycle of another class, if it met one.
func searchClass(g *graph, c class, extra kind, component []int32) (list []cycle, other cycle) {
	best := map[int32]cycle{}
	tried := map[int32]int{}
	var order []int32
	s := newSearch(g, component)
	for i := range g.edges {
		e := &g.edges[i]
		at := component[e.from]
		if e.kind&c.first == 0 || at < 0 || component[e.to] != at || tried[at] >= maxStarts || s.steps > maxSteps {
			continue
		}
		known := best[at]
		if known == nil && len(best) >= maxCyclesPerClass || len(known) == 2 {
			continue
		}
		tried[at]++
		cy := s.back(i, c.rest|extra|via, len(known))
		if cy == nil {
			continue
		}
		if name, _ := cy.class(); name != c.name {
			other = cy
			continue
		}
		if known == nil {
			order = append(order, at)
		}
		best[at] = cy
	}
	for _, at := range order {
		list = append(list, best[at])
	}
	return list, other
}

// class names a cycle by its edges.
func (cy cycle) class() (name, suffix string) {
	var kinds kind
	anti := 0
	for _, e := range cy {
		kinds |= e.kind
		if e.kind == rw {
			anti++
		}
	}
	switch {
	case anti > 1:
		name = G2
	case anti == 1:
		name = GSingle
	case kinds&wr != 0:
		name = G1c
	default:
		name = G0
	}
	switch {
	case kinds&realTime != 0:
		suffix = Realtime
	case kinds&process != 0:
		suffix = Process
	}
	return name, suffix
}

// search finds shortest ways within components. Its tables are used again by
// the next search, which tells its own entries by their round.
type search struct {
	g         *graph
	component []int32
	round     []int32
	distance  []int32
	by        []int32 // edge on which the node was reached
	now       int32
	steps     int
	depth     int32
	level     []int32 // nodes at the distance depth
	further   []int32 // nodes one step further; some may have been reached on a shorter way since
}

func newSearch(g *graph, component []int32) *search {
	return &search{g: g, component: component,
		round: make([]int32, g.nodes), distance: make([]int32, g.nodes), by: make([]int32, g.nodes)}
}

// back completes the edge to the shortest cycle over edges of the given kinds;
// nil when there is none shorter than limit (0: any length).
func (s *search) back(first int, kinds kind, limit int) cycle {
	start, goal := s.g.edges[first].to, s.g.edges[first].from
	s.now++
	s.level, s.further, s.depth = s.level[:0], s.further[:0], 0
	s.reach(start, 0, int32(first))
	for len(s.level) > 0 {
		// Edges out of nodes in between cost nothing: the level grows meanwhile.
		for i := 0; i < len(s.level); i++ {
			node := s.level[i]
			if node == goal {
				return s.trace(first, goal)
			}
			if s.distance[node] == s.depth {
				s.expand(node, kinds)
			}
		}
		s.level, s.further = s.further, s.level[:0]
		s.depth++
		if limit > 0 && int(s.depth)+1 >= limit {
			return nil
		}
	}
	return nil
}

func (s *search) reach(node, distance, by int32) {
	if s.round[node] == s.now && s.distance[node] <= distance {
		return
	}
	s.round[node], s.distance[node], s.by[node] = s.now, distance, by
	if distance == s.depth {
		s.level = append(s.level, node)
	} else {
		s.further = append(s.further, node)
	}
}

func (s *search) expand(node int32, kinds kind) {
	for _, at := range s.g.out[s.g.start[node]:s.g.start[node+1]] {
		e := &s.g.edges[at]
		s.steps++
		if e.kind&kinds == 0 || s.component[e.to] != s.component[node] {
			continue
		}
		cost := int32(1)
		if e.kind == via {
			cost = 0
		}
		s.reach(e.to, s.depth+cost, at)
	}
}

// trace walks back from the goal and leaves out the nodes in between: an edge
// into them gets the end, and the reason, of the edge out of them.
func (s *search) trace(first int, goal int32) cycle {
	var reversed []edge
	for node := goal; ; {
		at := s.by[node]
		e := s.g.edges[at]
		reversed = append(reversed, e)
		if int(at) == first {
			break
		}
		node = e.from
	}
	var cy cycle
	for i := len(reversed) - 1; i >= 0; i-- {
		e := reversed[i]
		if e.kind == via {
			last := &cy[len(cy)-1]
			last.to = e.to
			if e.word != "" {
				last.word = e.word
			}
			continue
		}
		cy = append(cy, e)
	}
	return cy
}
