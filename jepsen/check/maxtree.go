package check

import "math"

// maxTree holds numbers at places 0..n-1. It adds to all places before one, and
// finds the greatest number, each in O(log n): a segment tree whose nodes keep
// what was added to their whole range.
type maxTree struct {
	leaves int
	best   []int64 // greatest of the node's range, what ancestors added not included
	added  []int64
}

const unset = math.MinInt64 / 4

func newMaxTree(n int) maxTree {
	leaves := 1
	for leaves < n {
		leaves *= 2
	}
	t := maxTree{leaves: leaves, best: make([]int64, 2*leaves), added: make([]int64, 2*leaves)}
	for i := range t.best {
		t.best[i] = unset
	}
	return t
}

// set makes the place hold v, whatever was added to it before.
func (t *maxTree) set(place int, v int64) {
	node := place + t.leaves
	above := int64(0)
	for up := node / 2; up >= 1; up /= 2 {
		above += t.added[up]
	}
	t.best[node], t.added[node] = v-above, 0
	t.repair(node / 2)
}

// addPrefix adds to the places 0..n-1.
func (t *maxTree) addPrefix(n int, delta int64) {
	if n <= 0 {
		return
	}
	if n >= t.leaves {
		t.apply(1, delta)
		return
	}
	// The nodes that make up the prefix hang to the left of the way up from n.
	node := n + t.leaves
	for ; node > 1; node /= 2 {
		if node%2 == 1 {
			t.apply(node-1, delta)
		}
		up := node / 2
		t.best[up] = max(t.best[2*up], t.best[2*up+1]) + t.added[up]
	}
}

func (t *maxTree) apply(node int, delta int64) {
	t.best[node] += delta
	t.added[node] += delta
}

func (t *maxTree) repair(node int) {
	for ; node >= 1; node /= 2 {
		t.best[node] = max(t.best[2*node], t.best[2*node+1]) + t.added[node]
	}
}

// max is the greatest number and its place.
func (t *maxTree) max() (v int64, place int) {
	node := 1
	for node < t.leaves {
		node *= 2
		if t.best[node+1] > t.best[node] {
			node++
		}
	}
	return t.best[1], node - t.leaves
}
