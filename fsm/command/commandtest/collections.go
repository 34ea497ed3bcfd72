package commandtest

import (
	"strconv"
	"strings"
)

// Member is one of a few elements of collections.
func (g *Generator) Member() string {
	if g.Numbered > 0 && g.Chance(95) {
		return g.NumberedMember(g.Numbered)
	}
	if g.Chance(5) {
		return g.One("", "\x00", strings.Repeat("m", 64), strings.Repeat("m", 65), strings.Repeat("m", 300))
	}
	return g.One("f", "g", "h", "field", "1", "-7", "007", "1.5") + g.One("", "", "0", "1", "2")
}

// many is up to most+1 of what one makes.
func (g *Generator) many(most int, one func() string) string {
	return one() + g.words(most, one)
}

// elements is a template with a key before it.
func (g *Generator) elements(most int, one func() string) func() string {
	return func() string { return g.Key() + sep + g.many(most, one) }
}

func (g *Generator) memberScanOption() string {
	return g.One("MATCH"+sep+g.One("*", "f*", "*1", "[fg]?", "", "none"), "COUNT"+sep+g.One("1", "3", "100", "0", "-1", "x"), "foo", "COUNT")
}

// randomCount is how many elements a command is to choose.
func (g *Generator) randomCount() string {
	return g.One("0", "1", "3", "100", "-1", "-5", "-40", "x", "", "-9223372036854775808", "9223372036854775807")
}

// withHashes adds the makers for commands on hashes.
func (g *Generator) withHashes(all map[string]func() string) map[string]func() string {
	k, m := g.Key, g.Member
	pair := func() string { return m() + sep + g.Value() }
	field := func() string { return k() + sep + m() }
	pairs := func() string {
		s := k() + sep + g.many(3, pair)
		if g.Chance(5) {
			s += sep + m()
		}
		return s
	}
	fieldBy := func(by func() string) func() string { return func() string { return field() + sep + by() } }
	random := func() string {
		s := k()
		if g.Chance(70) {
			s += sep + g.randomCount() + g.One("", sep+"WITHVALUES", sep+"withvalues", sep+"foo", sep+"WITHVALUES"+sep+"1")
		}
		return s
	}
	scan := func() string {
		return k() + sep + g.One("0", "0", "0", "0", "x", "99999999999999999999") + g.words(2, g.memberScanOption)
	}
	for name, template := range map[string]func() string{
		"hset": pairs, "hmset": pairs, "hsetnx": fieldBy(g.Value), "hdel": g.elements(3, m),
		"hget": field, "hmget": g.elements(3, m), "hgetall": k, "hkeys": k, "hvals": k, "hlen": k, "hstrlen": field, "hexists": field,
		"hincrby": fieldBy(g.integer), "hincrbyfloat": fieldBy(g.Float), "hrandfield": random, "hscan": scan,
	} {
		all[name] = template
	}
	return all
}

// NumberedMember is one of n.
func (g *Generator) NumberedMember(n int) string { return "m" + strconv.Itoa(g.Rng.IntN(n)) }

// setMembers are members of a set, often integers only.
func (g *Generator) setMembers() string {
	if g.Chance(60) {
		return g.many(4, func() string { return g.One("1", "2", "-7", "300", "70000", "9223372036854775807", "12") })
	}
	return g.many(3, g.Member)
}

// withSets adds the makers for commands on sets.
func (g *Generator) withSets(all map[string]func() string) map[string]func() string {
	k := g.Key
	members := func() string { return k() + sep + g.setMembers() }
	one := func() string { return k() + sep + g.One(g.Member(), "1", "2", "300") }
	random := func() string {
		s := k()
		if g.Chance(70) {
			s += sep + g.randomCount() + g.One("", "", "", "", sep+"foo")
		}
		return s
	}
	stored := func() string { return k() + sep + g.keys() }
	scan := func() string {
		return k() + sep + g.One("0", "0", "0", "0", "x", "99999999999999999999") + g.words(2, g.memberScanOption)
	}
	card := func() string {
		n := 1 + g.Rng.IntN(3)
		s := g.One(strconv.Itoa(n), strconv.Itoa(n), strconv.Itoa(n), "0", "-1", "x", "5")
		for range n {
			s += sep + k()
		}
		return s + g.words(1, func() string { return g.One("LIMIT"+sep+g.One("0", "1", "2", "-1", "x"), "LIMIT", "foo") })
	}
	for name, template := range map[string]func() string{
		"sadd": members, "srem": members, "smove": func() string { return k() + sep + k() + sep + g.One("1", "2", "12", "f") }, "scard": k, "sismember": one, "smismember": members,
		"smembers": k, "spop": random, "srandmember": random, "sscan": scan, "sintercard": card,
		"sinter": g.keys, "sunion": g.keys, "sdiff": g.keys, "sinterstore": stored, "sunionstore": stored, "sdiffstore": stored,
	} {
		all[name] = template
	}
	return all
}
