package commandtest

import (
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/lockstepkv/lockstep/fsm/command"
)

// Generator makes commands that are likely to meet each other and the edges.
type Generator struct {
	Rng *rand.Rand
	// Prefix, if not empty, is that of the names of all commands.
	Prefix string
	// Numbered, if not 0, is how many elements collections choose from, rather than a few.
	Numbered int
	base     int64 // Unix milliseconds
	spans    []int // lifetimes in tens of seconds, each used once so that GT and LT never turn on a millisecond
}

func NewGenerator(seed uint64) *Generator {
	g := &Generator{Rng: rand.New(rand.NewPCG(seed, 7)), base: time.Now().UnixMilli()}
	g.spans = g.Rng.Perm(1_000_000)
	return g
}

func (g *Generator) One(of ...string) string { return of[g.Rng.IntN(len(of))] }

func (g *Generator) Chance(percent int) bool { return g.Rng.IntN(100) < percent }

// Key is one of a few, so that commands share keys.
func (g *Generator) Key() string {
	all := AllKeys()
	if g.Chance(3) {
		return g.One(all[plainKeys:]...)
	}
	return g.One(all[:plainKeys]...)
}

const plainKeys = 8

func AllKeys() []string {
	return []string{"k0", "k1", "k2", "k3", "k4", "k5", "k6", "k7", "", "key with space", "k\x00\xff", "{tag}k"}
}

func (g *Generator) keys() string {
	n := 1 + g.Rng.IntN(4)
	out := make([]string, n)
	for i := range out {
		out[i] = g.Key()
	}
	return strings.Join(out, sep)
}

// sep parts arguments in templates: no argument contains it.
const sep = "\x01"

func (g *Generator) integer() string {
	if g.Chance(40) {
		return strconv.Itoa(g.Rng.IntN(2000) - 1000)
	}
	return g.One("0", "1", "-1", "9223372036854775807", "-9223372036854775808", "9223372036854775806",
		"9223372036854775808", "-9223372036854775809", "99999999999999999999", "+1", "01", "-0", "00", "1 ", " 1", "",
		"abc", "1.0", "1e3", "0x10", "9999", "10000", "4611686018427387904", "-", "\x00", "1\x00")
}

func (g *Generator) Float() string {
	switch g.Rng.IntN(4) {
	case 0:
		return strconv.FormatFloat(g.Rng.NormFloat64()*10, 'f', g.Rng.IntN(20), 64)
	case 1:
		return strconv.FormatFloat(g.Rng.NormFloat64(), 'e', g.Rng.IntN(18), 64) + g.One("", "0", "1")
	case 2:
		return strconv.Itoa(g.Rng.IntN(100)) + "." + strconv.Itoa(g.Rng.IntN(1000))
	}
	return g.One("0.1", "0.2", "-0.3", "3.0e3", "1e-17", "5e-18", "4.9e-18", "1e-4950", "1e-4951", "1e-4960", "1e4932", "1.1e4932",
		"1.18973149535723176e4932", "1.2e4932", "1e4933", "-1e4932", "inf", "-inf", "+Infinity", "nan", "NaN(1)", "0x1p3",
		"0x1.fp-2", "0X.8", "0x", "0x1p", "0xp1", "1e", "1e+", ".5", "5.", ".", "", " 1", "1 ", "+1", "-0", "-0.0", "--1", "1.2.3", "1_0",
		"1e99999999999999999999", "0e99999999999999999999", "1e-99999999999999999999", "0x1p-16445", "0x1p-16446", "0x1.8p-16446", "0x1p16383", "0x1p16384",
		"18446744073709551615", "18446744073709551617", "9007199254740993", "123456789012345678901234567890", "1e19", "1e20",
		"0.00000000000000001", "0.000000000000000001", "3.14159265358979323846264338327950288", "1\x00", "1e5000", strings.Repeat("9", 300))
}

func (g *Generator) Value() string {
	switch g.Rng.IntN(10) {
	case 0, 1, 2:
		return g.integer()
	case 3:
		return g.Float()
	case 4:
		return strings.Repeat("x", g.one2(43, 44, 45, 46, 1000))
	case 5:
		return g.One("", "\x00", "\xff\xfe", "a\r\nb", "12345678901234567890", "foobar")
	}
	return g.One("a", "hello", "10.5", "42", "This is a string")
}

func (g *Generator) one2(of ...int) int { return of[g.Rng.IntN(len(of))] }

// span is a lifetime in tens of seconds, no two alike.
func (g *Generator) span() int64 {
	n := g.spans[0]
	g.spans = g.spans[1:]
	return int64(n) + 100
}

func (g *Generator) edgeTime() string {
	return g.One("0", "-1", "9223372036854775807", "-9223372036854775808", "9223372036854775", "9223372036854776",
		"9223372036854774", "-9223372036854776", "-9223372036854775", "9223372036854775808", "abc", "", "1.5", "1", "9223370000000000000")
}

// seconds, millis and so on are arguments of EXPIRE and of SET's options.
func (g *Generator) seconds() string {
	if g.Chance(25) {
		// A second could pass while the test runs; "1" is for absolute times.
		if s := g.edgeTime(); s != "1" {
			return s
		}
	}
	return strconv.FormatInt(g.span()*10, 10)
}

func (g *Generator) millis() string {
	if g.Chance(25) {
		if s := g.edgeTime(); s != "1" {
			return s
		}
	}
	return strconv.FormatInt(g.span()*10_000, 10)
}

func (g *Generator) unixSeconds() string {
	if g.Chance(25) {
		return g.edgeTime()
	}
	return strconv.FormatInt(g.base/1000+g.span()*10+5, 10)
}

func (g *Generator) unixMillis() string {
	if g.Chance(25) {
		return g.edgeTime()
	}
	return strconv.FormatInt(g.base+g.span()*10_000+5_000+int64(g.Rng.IntN(1000)), 10)
}

func (g *Generator) lifetime(last ...string) string {
	switch g.Rng.IntN(4 + len(last)) {
	case 0:
		return g.One("EX", "ex") + sep + g.seconds()
	case 1:
		return "PX" + sep + g.millis()
	case 2:
		return "EXAT" + sep + g.unixSeconds()
	case 3:
		return "pxat" + sep + g.unixMillis()
	}
	return g.One(last...)
}

// words returns up to n of the options, mostly in a sensible number.
func (g *Generator) words(n int, option func() string) string {
	var b strings.Builder
	for range g.Rng.IntN(n + 1) {
		b.WriteString(sep + option())
	}
	return b.String()
}

func (g *Generator) setOption() string {
	switch g.Rng.IntN(10) {
	case 0, 1:
		return g.One("NX", "XX", "nx", "xX")
	case 2, 3:
		return "GET"
	case 4:
		return g.One("EX", "PXAT", "foo", "", "PERSIST")
	}
	return g.lifetime("KEEPTTL")
}

func (g *Generator) getexOption() string {
	if g.Chance(10) {
		return g.One("KEEPTTL", "NX", "EX", "GET", "bar")
	}
	return g.lifetime("PERSIST")
}

func (g *Generator) expireOption() string {
	return g.One("NX", "XX", "GT", "LT", "gt", "lt", "xx", "NX", "XX", "GT", "LT", "foo\r\nbar")
}

func (g *Generator) pattern() string {
	return g.One("*", "k*", "k?", "k[0-3]", "k[^0-3]", "[k]*[1357]", "\\k1", "k[", "k[0", "k[5-2]", "*\\", "**1", "", "key*", "k\\[", "k[\\5]", "?", "k[0-", "{*", "k\x00*")
}

// Command returns a random command, in nine of ten cases a well formed one.
func (g *Generator) Command() command.Args {
	templates := g.templates()
	name := g.One(templateNames()...)
	for !strings.HasPrefix(name, g.Prefix) {
		name = g.One(templateNames()...)
	}
	args := split(name + sep + templates[name]())
	if args[len(args)-1] == nil {
		args = args[:len(args)-1]
	}
	switch {
	case g.Chance(4):
		args = args[:1+g.Rng.IntN(len(args))]
	case g.Chance(4):
		args = append(args, []byte(g.One("", "foo", "1", "NX")))
	case g.Chance(4):
		args[0] = []byte(strings.ToUpper(string(args[0])))
	}
	return args
}

// split parts a template. A trailing separator is no argument.
func split(s string) command.Args {
	var args command.Args
	for _, a := range strings.Split(strings.TrimSuffix(s, sep+none), sep) {
		args = append(args, []byte(a))
	}
	return args
}

// none stands for a template without arguments.
const none = "\x02"
