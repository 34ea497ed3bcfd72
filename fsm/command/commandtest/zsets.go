package commandtest

import "strconv"

// LexKey is a sorted set in which all scores are 0: elsewhere ranges by lex have no meaning.
const LexKey = "lex"

func (g *Generator) score() string {
	switch {
	case g.Chance(75):
		return strconv.Itoa(g.Rng.IntN(7) - 3)
	case g.Chance(50):
		return g.One("0.1", "0.2", "-2.5", "1e100", "inf", "-inf", "+Inf", "-0", "0x1p3", "0x10", "1e400", "1e-400", "nan", " 1", "1 ", "", "x",
			"9007199254740993", "1e18", "1e19", ".5", "5.", "3.0e-7", "1e", "1_0")
	}
	return g.Float()
}

func (g *Generator) scoreBound() string {
	return g.One("", "", "(") + g.One("-inf", "+inf", "inf", "0", "1", "-1", "2", "0.15", "-0", "1e400", "", " 2", "x", "nan", "1\x002")
}

func (g *Generator) lexBound() string {
	if g.Chance(30) {
		return g.One("-", "+", "-", "+", "", "x", "-x", "+x", "[", "(", "++")
	}
	return g.One("[", "(") + g.Member()
}

func (g *Generator) rank() string {
	if g.Chance(6) {
		return g.integer()
	}
	return g.One("0", "1", "2", "-1", "-2", "-3", "-100", "100", "5")
}

func (g *Generator) limit() string {
	return "LIMIT" + sep + g.One("0", "1", "2", "-1", "x", "100") + sep + g.One("-1", "0", "1", "2", "100", "-5", "x")
}

// zrange is key, ends and options of a range of the kind that options say.
func (g *Generator) zrange(key string) string {
	rest := g.words(1, func() string { return g.One("WITHSCORES", "withscores", "foo", g.limit(), "LIMIT") })
	rev := g.One("", "", sep+"REV", sep+"rev"+g.One("", "", sep+"REV"))
	switch g.Rng.IntN(3) {
	case 0:
		return key + sep + g.rank() + sep + g.rank() + rev + rest
	case 1:
		return key + sep + g.scoreBound() + sep + g.scoreBound() + sep + "BYSCORE" + rev + g.words(1, g.limit) + rest
	}
	return LexKey + sep + g.lexBound() + sep + g.lexBound() + sep + "BYLEX" + rev + g.words(1, g.limit) + rest
}

func (g *Generator) zadd() string {
	if g.Chance(15) {
		return LexKey + sep + g.many(4, func() string { return "0" + sep + g.Member() })
	}
	options := g.words(2, func() string { return g.One("NX", "XX", "GT", "LT", "CH", "CH", "INCR", "nx") })
	pairs := g.many(4, func() string { return g.score() + sep + g.Member() })
	if g.Chance(3) {
		pairs += sep + "1"
	}
	return g.Key() + options + sep + pairs
}

// sources are keys behind their number.
func (g *Generator) sources() (keys string, n int) {
	n = 1 + g.Rng.IntN(3)
	for range n {
		keys += sep + g.Key()
	}
	number := strconv.Itoa(n)
	if g.Chance(5) {
		number = g.One("0", "-1", "x", "9", "")
	}
	return number + keys, n
}

func (g *Generator) combine(options ...string) string {
	keys, n := g.sources()
	for range g.Rng.IntN(3) {
		switch option := g.One(options...); option {
		case "WEIGHTS":
			keys += sep + option
			for range n {
				keys += sep + g.One("1", "2", "-1", "0", "0.5", "inf", "x")
			}
		case "AGGREGATE":
			keys += sep + option + sep + g.One("SUM", "MIN", "MAX", "max", "foo")
		case "LIMIT":
			keys += sep + option + sep + g.One("0", "1", "2", "100", "-1", "x")
		default:
			keys += sep + option
		}
	}
	return keys
}

// withZSets adds the makers for commands on sorted sets.
func (g *Generator) withZSets(all map[string]func() string) map[string]func() string {
	k, m := g.Key, g.Member
	one := func() string { return k() + sep + m() }
	ends := func(key func() string, end func() string) func() string {
		return func() string { return key() + sep + end() + sep + end() }
	}
	with := func(head func() string, most int, option func() string) func() string {
		return func() string { return head() + g.words(most, option) }
	}
	removed := func() string {
		return k() + sep + g.One("-inf", "-1", "0", "(0", g.scoreBound()) + sep + g.One("+inf", "1", "3", "(2", g.scoreBound())
	}
	lexKey := func() string { return LexKey }
	scores := func() string { return g.One("WITHSCORES", "withscores", "foo") }
	scoresOrLimit := func() string { return g.One("WITHSCORES", g.limit(), g.limit(), "LIMIT", "foo") }
	pop := func() string {
		return k() + g.words(1, func() string { return g.One("0", "1", "2", "5", "100", "-1", "x", "") })
	}
	mpop := func() string {
		keys, _ := g.sources()
		return keys + sep + g.One("MIN", "MAX", "min", "foo") + g.words(1, func() string { return "COUNT" + sep + g.One("1", "2", "10", "0", "-1", "x") })
	}
	random := func() string {
		s := k()
		if g.Chance(70) {
			s += sep + g.randomCount() + g.One("", sep+"WITHSCORES", sep+"withscores", sep+"foo", sep+"WITHSCORES"+sep+"1")
		}
		return s
	}
	combine := func(options ...string) func() string { return func() string { return g.combine(options...) } }
	store := func(options ...string) func() string {
		return func() string { return k() + sep + g.combine(options...) }
	}
	for name, template := range map[string]func() string{
		"zadd": g.zadd, "zincrby": func() string { return k() + sep + g.score() + sep + m() },
		"zrem":  func() string { return g.One(k(), k(), LexKey) + sep + g.many(3, m) },
		"zcard": k, "zscore": one, "zmscore": g.elements(3, m), "zrank": one, "zrevrank": one,
		"zcount": ends(k, g.scoreBound), "zlexcount": ends(lexKey, g.lexBound),
		"zrange": func() string { return g.zrange(k()) }, "zrangestore": func() string { return k() + sep + g.zrange(k()) },
		"zrevrange": with(ends(k, g.rank), 1, scores), "zrangebyscore": with(ends(k, g.scoreBound), 2, scoresOrLimit),
		"zrevrangebyscore": with(ends(k, g.scoreBound), 2, scoresOrLimit), "zrangebylex": with(ends(lexKey, g.lexBound), 1, scoresOrLimit),
		"zrevrangebylex":  with(ends(lexKey, g.lexBound), 1, scoresOrLimit),
		"zremrangebyrank": ends(k, g.rank), "zremrangebyscore": removed, "zremrangebylex": ends(lexKey, g.lexBound),
		"zpopmin": pop, "zpopmax": pop, "zmpop": mpop,
		"zunion": combine("WEIGHTS", "AGGREGATE", "WITHSCORES", "foo"), "zinter": combine("WEIGHTS", "AGGREGATE", "WITHSCORES", "LIMIT"),
		"zdiff": combine("WITHSCORES", "WITHSCORES", "WEIGHTS"), "zintercard": combine("LIMIT", "LIMIT", "LIMIT", "WITHSCORES"),
		"zunionstore": store("WEIGHTS", "AGGREGATE", "WITHSCORES"), "zinterstore": store("WEIGHTS", "AGGREGATE"), "zdiffstore": store("WEIGHTS"),
		"zrandmember": random,
		"zscan": func() string {
			return k() + sep + g.One("0", "0", "0", "0", "x", "99999999999999999999") + g.words(2, g.memberScanOption)
		},
	} {
		all[name] = template
	}
	return all
}
