package commandtest

import "strconv"

// hllTemplates are the templates of commands on HyperLogLogs. These have keys of their own, mostly,
// so that nobody damages them half way: an element that Redis has added before it meets the
// damage stays.
func (g *Generator) hllTemplates() map[string]func() string {
	return map[string]func() string{
		"pfadd": func() string {
			if g.Chance(5) {
				return join(g.Key(), g.Value())
			}
			return join(g.One(hllKeys()...), g.hllElements()...)
		},
		"pfcount": func() string { return join(g.hllKey(), g.hllKeys()...) },
		"pfmerge": func() string { return join(g.hllKey(), g.hllKeys()...) },
		"pfdebug": func() string {
			return join(g.One("GETREG", "decode", "encoding", "encoding", "TODENSE", "foo"), g.hllKey())
		},
	}
}

func hllKeys() []string { return []string{"h0", "h1", "h2", "h3", "h4"} }

func (g *Generator) hllKey() string {
	if g.Chance(10) {
		return g.Key()
	}
	return g.One(hllKeys()...)
}

func (g *Generator) hllKeys() (keys []string) {
	for range g.Rng.IntN(3) {
		keys = append(keys, g.hllKey())
	}
	return keys
}

func (g *Generator) hllElements() (all []string) {
	for range g.Rng.IntN(g.one2(2, 5, 50, 400)) {
		all = append(all, strconv.Itoa(g.Rng.IntN(1_000_000))+g.One("", "x", "\x00", "a longer element than most"))
	}
	return all
}
