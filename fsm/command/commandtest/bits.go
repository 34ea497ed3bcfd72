package commandtest

import (
	"strconv"
	"strings"
)

// bitTemplates are the templates of commands on bits.
func (g *Generator) bitTemplates() map[string]func() string {
	k := g.Key
	return map[string]func() string{
		"setbit":      func() string { return join(k(), g.bitOffset(), g.bit()) },
		"getbit":      func() string { return join(k(), g.bitOffset()) },
		"bitcount":    func() string { return join(k(), g.bitRange(2)...) },
		"bitpos":      func() string { return join(k(), append([]string{g.bit()}, g.bitRange(1)...)...) },
		"bitop":       g.bitOp,
		"bitfield":    func() string { return join(k(), g.fieldSteps(false)...) },
		"bitfield_ro": func() string { return join(k(), g.fieldSteps(true)...) },
	}
}

// stringTemplates are those of commands on whole strings and dumps.
func (g *Generator) stringTemplates() map[string]func() string {
	k := g.Key
	return map[string]func() string{
		"dump": k,
		"lcs": func() string {
			return join(k(), k()) + g.words(3, func() string {
				return g.One("IDX", "idx", "IDX", "LEN", "WITHMATCHLEN", "MINMATCHLEN"+sep+g.One("0", "1", "2", "4", "-3", "x"), "MINMATCHLEN", "foo")
			})
		},
		"restore": func() string {
			ttl := g.One("0", "0", "0", "-1", "x", "9223372036854775807")
			if g.Chance(40) {
				ttl = g.millis()
			}
			return join(k(), ttl, g.One(dumps()...)) + g.words(3, g.restoreOption)
		},
	}
}

func (g *Generator) restoreOption() string {
	if g.Chance(60) {
		return g.One("REPLACE", "replace")
	}
	return g.One("ABSTTL", "IDLETIME"+sep+g.One("0", "-1", "x", "0"), "FREQ"+sep+g.One("1", "255", "256", "-1"), "FREQ", "foo")
}

func join(first string, more ...string) string {
	return strings.Join(append([]string{first}, more...), sep)
}

func (g *Generator) bit() string {
	if g.Chance(92) {
		return g.One("0", "1")
	}
	return g.One("2", "-1", "x", "", "01", "9223372036854775808")
}

func (g *Generator) bitOffset() string {
	if g.Chance(90) {
		return strconv.Itoa(g.Rng.IntN(g.one2(8, 70, 400, 9000)))
	}
	return g.One("-1", "4294967296", "#1", "x", "", "9223372036854775807", "-9223372036854775808", "0x1", "1.0")
}

// bitRange is a range of which so many words belong together at least.
func (g *Generator) bitRange(least int) []string {
	word := func() string {
		if g.Chance(90) {
			return strconv.Itoa(g.Rng.IntN(60) - 30)
		}
		return g.integer()
	}
	r := []string{word(), word()}
	switch g.Rng.IntN(5) {
	case 0:
		return nil
	case 1:
		return r[:least]
	case 2:
		return r
	}
	return append(r, g.One("BIT", "bit", "BYTE", "byte", "BIT", "foo"))
}

func (g *Generator) bitOp() string {
	name := g.One("AND", "OR", "XOR", "xor", "and", "NOT", "NOT", "foo")
	keys := g.keys()
	if name == "NOT" && g.Chance(80) {
		keys = g.Key()
	}
	return join(name, g.Key(), keys)
}

// fieldSteps are the operations of BITFIELD.
func (g *Generator) fieldSteps(readOnly bool) []string {
	var words []string
	for range g.Rng.IntN(5) {
		at := []string{g.fieldType(), g.fieldOffset()}
		switch n := g.Rng.IntN(8); {
		case n == 0 && !readOnly:
			words = append(words, "OVERFLOW", g.One("WRAP", "sat", "FAIL", "SAT", "FAIL", "foo"))
		case n < 4 || readOnly && !g.Chance(3):
			words = append(append(words, g.One("GET", "get")), at...)
		case n < 6:
			words = append(append(append(words, "SET"), at...), g.integer())
		default:
			words = append(append(append(words, g.One("INCRBY", "incrby")), at...), g.integer())
		}
	}
	return words
}

func (g *Generator) fieldType() string {
	switch {
	case g.Chance(50):
		return g.One("u", "i") + strconv.Itoa(1+g.Rng.IntN(63))
	case g.Chance(90):
		return g.One("u8", "i8", "i64", "u63", "u1", "i1", "i5", "u16", "i32")
	}
	return g.One("u64", "i65", "u0", "i0", "8", "", "u", "x8", "U8", "i08", "u8\x00x")
}

func (g *Generator) fieldOffset() string {
	if g.Chance(90) {
		return g.One("", "#") + strconv.Itoa(g.Rng.IntN(g.one2(8, 70, 300)))
	}
	return g.One("-1", "#-1", "#", "4294967296", "#4294967295", "#9223372036854775807", "x", "")
}
