package command

import (
	"math/rand/v2"
	"strconv"
	"strings"
	"time"
)

// generator makes commands that are likely to meet each other and the edges.
type generator struct {
	rng   *rand.Rand
	base  int64 // Unix milliseconds
	spans []int // lifetimes in tens of seconds, each used once so that GT and LT never turn on a millisecond
}

func newGenerator(seed uint64) *generator {
	g := &generator{rng: rand.New(rand.NewPCG(seed, 7)), base: time.Now().UnixMilli()}
	g.spans = g.rng.Perm(1_000_000)
	return g
}

func (g *generator) one(of ...string) string { return of[g.rng.IntN(len(of))] }

func (g *generator) chance(percent int) bool { return g.rng.IntN(100) < percent }

// key is one of a few, so that commands share keys.
func (g *generator) key() string {
	all := allTestKeys()
	if g.chance(3) {
		return g.one(all[plainKeys:]...)
	}
	return g.one(all[:plainKeys]...)
}

const plainKeys = 8

func allTestKeys() []string {
	return []string{"k0", "k1", "k2", "k3", "k4", "k5", "k6", "k7", "", "key with space", "k\x00\xff", "{tag}k"}
}

func (g *generator) keys() string {
	n := 1 + g.rng.IntN(4)
	out := make([]string, n)
	for i := range out {
		out[i] = g.key()
	}
	return strings.Join(out, sep)
}

// sep parts arguments in templates: no argument contains it.
const sep = "\x01"

func (g *generator) integer() string {
	if g.chance(40) {
		return strconv.Itoa(g.rng.IntN(2000) - 1000)
	}
	return g.one("0", "1", "-1", "9223372036854775807", "-9223372036854775808", "9223372036854775806",
		"9223372036854775808", "-9223372036854775809", "99999999999999999999", "+1", "01", "-0", "00", "1 ", " 1", "",
		"abc", "1.0", "1e3", "0x10", "9999", "10000", "4611686018427387904", "-", "\x00", "1\x00")
}

func (g *generator) float() string {
	switch g.rng.IntN(4) {
	case 0:
		return strconv.FormatFloat(g.rng.NormFloat64()*10, 'f', g.rng.IntN(20), 64)
	case 1:
		return strconv.FormatFloat(g.rng.NormFloat64(), 'e', g.rng.IntN(18), 64) + g.one("", "0", "1")
	case 2:
		return strconv.Itoa(g.rng.IntN(100)) + "." + strconv.Itoa(g.rng.IntN(1000))
	}
	return g.one("0.1", "0.2", "-0.3", "3.0e3", "1e-17", "5e-18", "4.9e-18", "1e-4950", "1e-4951", "1e-4960", "1e4932", "1.1e4932",
		"1.18973149535723176e4932", "1.2e4932", "1e4933", "-1e4932", "inf", "-inf", "+Infinity", "nan", "NaN(1)", "0x1p3",
		"0x1.fp-2", "0X.8", "0x", "0x1p", "0xp1", "1e", "1e+", ".5", "5.", ".", "", " 1", "1 ", "+1", "-0", "-0.0", "--1", "1.2.3", "1_0",
		"1e99999999999999999999", "0e99999999999999999999", "1e-99999999999999999999", "0x1p-16445", "0x1p-16446", "0x1.8p-16446", "0x1p16383", "0x1p16384",
		"18446744073709551615", "18446744073709551617", "9007199254740993", "123456789012345678901234567890", "1e19", "1e20",
		"0.00000000000000001", "0.000000000000000001", "3.14159265358979323846264338327950288", "1\x00", "1e5000", strings.Repeat("9", 300))
}

func (g *generator) value() string {
	switch g.rng.IntN(10) {
	case 0, 1, 2:
		return g.integer()
	case 3:
		return g.float()
	case 4:
		return strings.Repeat("x", g.one2(43, 44, 45, 46, 1000))
	case 5:
		return g.one("", "\x00", "\xff\xfe", "a\r\nb", "12345678901234567890", "foobar")
	}
	return g.one("a", "hello", "10.5", "42", "This is a string")
}

func (g *generator) one2(of ...int) int { return of[g.rng.IntN(len(of))] }

// span is a lifetime in tens of seconds, no two alike.
func (g *generator) span() int64 {
	n := g.spans[0]
	g.spans = g.spans[1:]
	return int64(n) + 100
}

func (g *generator) edgeTime() string {
	return g.one("0", "-1", "9223372036854775807", "-9223372036854775808", "9223372036854775", "9223372036854776",
		"9223372036854774", "-9223372036854776", "-9223372036854775", "9223372036854775808", "abc", "", "1.5", "1", "9223370000000000000")
}

// seconds, millis and so on are arguments of EXPIRE and of SET's options.
func (g *generator) seconds() string {
	if g.chance(25) {
		// A second could pass while the test runs; "1" is for absolute times.
		if s := g.edgeTime(); s != "1" {
			return s
		}
	}
	return strconv.FormatInt(g.span()*10, 10)
}

func (g *generator) millis() string {
	if g.chance(25) {
		if s := g.edgeTime(); s != "1" {
			return s
		}
	}
	return strconv.FormatInt(g.span()*10_000, 10)
}

func (g *generator) unixSeconds() string {
	if g.chance(25) {
		return g.edgeTime()
	}
	return strconv.FormatInt(g.base/1000+g.span()*10+5, 10)
}

func (g *generator) unixMillis() string {
	if g.chance(25) {
		return g.edgeTime()
	}
	return strconv.FormatInt(g.base+g.span()*10_000+5_000+int64(g.rng.IntN(1000)), 10)
}

func (g *generator) lifetime(last ...string) string {
	switch g.rng.IntN(4 + len(last)) {
	case 0:
		return g.one("EX", "ex") + sep + g.seconds()
	case 1:
		return "PX" + sep + g.millis()
	case 2:
		return "EXAT" + sep + g.unixSeconds()
	case 3:
		return "pxat" + sep + g.unixMillis()
	}
	return g.one(last...)
}

// words returns up to n of the options, mostly in a sensible number.
func (g *generator) words(n int, option func() string) string {
	var b strings.Builder
	for range g.rng.IntN(n + 1) {
		b.WriteString(sep + option())
	}
	return b.String()
}

func (g *generator) setOption() string {
	switch g.rng.IntN(10) {
	case 0, 1:
		return g.one("NX", "XX", "nx", "xX")
	case 2, 3:
		return "GET"
	case 4:
		return g.one("EX", "PXAT", "foo", "", "PERSIST")
	}
	return g.lifetime("KEEPTTL")
}

func (g *generator) getexOption() string {
	if g.chance(10) {
		return g.one("KEEPTTL", "NX", "EX", "GET", "bar")
	}
	return g.lifetime("PERSIST")
}

func (g *generator) expireOption() string {
	return g.one("NX", "XX", "GT", "LT", "gt", "lt", "xx", "NX", "XX", "GT", "LT", "foo\r\nbar")
}

func (g *generator) pattern() string {
	return g.one("*", "k*", "k?", "k[0-3]", "k[^0-3]", "[k]*[1357]", "\\k1", "k[", "k[0", "k[5-2]", "*\\", "**1", "", "key*", "k\\[", "k[\\5]", "?", "k[0-", "{*", "k\x00*")
}

// command returns a random command, in nine of ten cases a well formed one.
func (g *generator) command() Args {
	templates := g.templates()
	name := g.one(templateNames()...)
	args := split(name + sep + templates[name]())
	if args[len(args)-1] == nil {
		args = args[:len(args)-1]
	}
	switch {
	case g.chance(4):
		args = args[:1+g.rng.IntN(len(args))]
	case g.chance(4):
		args = append(args, []byte(g.one("", "foo", "1", "NX")))
	case g.chance(4):
		args[0] = []byte(strings.ToUpper(string(args[0])))
	}
	return args
}

// split parts a template. A trailing separator is no argument.
func split(s string) Args {
	var args Args
	for _, a := range strings.Split(strings.TrimSuffix(s, sep+none), sep) {
		args = append(args, []byte(a))
	}
	return args
}

// none stands for a template without arguments.
const none = "\x02"
