package commandtest

import "strconv"

// index is a place in a list.
func (g *Generator) index() string {
	switch {
	case g.Chance(5):
		return g.integer()
	case g.Chance(10):
		return g.One("0", "-1")
	}
	return strconv.Itoa(g.Rng.IntN(25) - 10)
}

// element is one of few, so that lists have some of them several times.
func (g *Generator) element() string {
	switch {
	case g.Chance(15):
		return g.Value()
	case g.Chance(15):
		return g.Member()
	}
	return g.One("a", "b", "c", "1")
}

// withLists adds the makers for commands on lists.
func (g *Generator) withLists(all map[string]func() string) map[string]func() string {
	k, e, i := g.Key, g.element, g.index
	push := g.elements(4, e)
	count := func() string {
		return g.One("", "", sep+g.One("0", "1", "2", "3", "100", "-1", "x", "", "9223372036854775807"), sep+"2"+sep+"3")
	}
	pop := func() string { return k() + count() }
	side := func() string { return g.One("LEFT", "RIGHT", "left", "Right", "LEFT", "RIGHT", "up") }
	lposOption := func() string {
		return g.One("RANK"+sep+g.One("1", "2", "-1", "-2", "5", "0", "x", "-9223372036854775807"),
			"COUNT"+sep+g.One("0", "1", "2", "100", "-1", "x"), "MAXLEN"+sep+g.One("0", "1", "3", "100", "-1", "x"), "foo", "RANK", "count"+sep+"0")
	}
	lmpop := func() string {
		n := 1 + g.Rng.IntN(3)
		s := g.One(strconv.Itoa(n), strconv.Itoa(n), strconv.Itoa(n), strconv.Itoa(n), "0", "x", "4", "-1", "9223372036854775807")
		for range n {
			s += sep + k()
		}
		return s + sep + side() + g.words(1, func() string {
			return g.One("COUNT"+sep+g.One("1", "2", "100", "0", "-1", "x"), "foo", "COUNT", "count"+sep+"1"+sep+"COUNT"+sep+"1")
		})
	}
	for name, template := range map[string]func() string{
		"lpush": push, "rpush": push, "lpushx": push, "rpushx": push, "lpop": pop, "rpop": pop, "llen": k,
		"lindex": func() string { return k() + sep + i() }, "lset": func() string { return k() + sep + i() + sep + e() },
		"linsert": func() string {
			return k() + sep + g.One("BEFORE", "AFTER", "before", "After", "foo") + sep + e() + sep + e()
		},
		"lrange": func() string { return k() + sep + i() + sep + i() },
		"ltrim": func() string {
			if g.Chance(50) { // mostly a little
				return k() + sep + g.One("0", "1") + sep + g.One("-1", "-2", "20")
			}
			return k() + sep + i() + sep + i()
		},
		"lrem": func() string {
			return k() + sep + g.One("0", "1", "2", "-1", "-2", "x", "100", "-9223372036854775807") + sep + e()
		},
		"lpos":  func() string { return k() + sep + e() + g.words(3, lposOption) },
		"lmove": func() string { return k() + sep + k() + sep + side() + sep + side() }, "rpoplpush": func() string { return k() + sep + k() },
		"lmpop": lmpop,
	} {
		all[name] = template
	}
	return all
}
