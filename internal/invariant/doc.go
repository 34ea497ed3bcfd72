// Package invariant checks statements that must hold whatever happens. A normal build compiles the
// checks away; with the build tag `invariants` a statement that does not hold stops the program with a
// panic, so that tests notice a broken rule where it breaks and not where its damage shows.
//
// Guard a check that costs something with Enabled:
//
//	if invariant.Enabled {
//		invariant.Check(l.sorted(), "entries out of order")
//	}
package invariant
