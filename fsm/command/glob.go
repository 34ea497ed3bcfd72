package command

import "github.com/lockstepkv/lockstep/resp"

const (
	// MaxGlobLen bounds a pattern. Compiled it takes up to twenty times its length.
	MaxGlobLen = 64 << 10

	// globFreeSteps is how many steps a byte of a key costs at most before the rest is
	// charged to the command: a pattern that is not made to be slow needs one or two.
	globFreeSteps = 8

	// globBudget is what one command may take beyond that, about a tenth of a second.
	globBudget = 1 << 25
)

// Errors of patterns that take too much.
var (
	ErrGlobTooLong = resp.Error("ERR the pattern is longer than 65536 bytes")
	ErrGlobTooSlow = resp.Error("ERR the pattern takes too many steps on these keys; use fewer stars, or a shorter text after one")
)

// Glob is a compiled pattern in the way of Redis's KEYS: "*" is any run of bytes,
// "?" one byte, "[a-z]" and "[^a-z]" a class of bytes, "\x" the byte x itself. A class
// that is not closed ends with the pattern, a range may be written backwards, and a
// trailing backslash is itself. As in Redis, an empty string matches the empty pattern
// and "*", but not "**".
type Glob struct {
	elems   []globElem
	classes []globClass
}

// GlobRun is the use of a pattern by one run of a command.
type GlobRun struct {
	*Glob
	budget int  // steps left for what is charged
	Slow   bool // the budget is used up: what did not match may match
}

// Start begins a run, which has a budget of its own.
func (g *Glob) Start() GlobRun { return GlobRun{Glob: g, budget: globBudget} }

// GlobAll is "*".
var GlobAll = &Glob{elems: []globElem{{kind: globStar}}}

type globElem struct {
	kind  globKind
	char  byte   // globByte
	class uint32 // globOneOf: an index into classes
}

type globKind uint8

const (
	globByte globKind = iota
	globAny
	globOneOf
	globStar
)

// globClass is a set of bytes.
type globClass [4]uint64

func (c *globClass) add(b byte)      { c[b>>6] |= 1 << (b & 63) }
func (c *globClass) has(b byte) bool { return c[b>>6]>>(b&63)&1 != 0 }

// NewGlob compiles a pattern. The error is for the client.
func NewGlob(pattern []byte) (*Glob, error) {
	if len(pattern) > MaxGlobLen {
		return nil, ErrGlobTooLong
	}
	g := &Glob{}
	for i := 0; i < len(pattern); {
		e := globElem{char: pattern[i]}
		switch c := pattern[i]; {
		case c == '*':
			e.kind = globStar
		case c == '?':
			e.kind = globAny
		case c == '[':
			set, width := parseClass(pattern[i:])
			e.kind, e.class = globOneOf, uint32(len(g.classes))
			g.classes = append(g.classes, set)
			i += width - 1
		case c == '\\' && i+1 < len(pattern):
			i++
			e.char = pattern[i]
		}
		g.elems = append(g.elems, e)
		i++
	}
	return g, nil
}

// parseClass reads the class at the beginning of pattern, and returns its length there.
func parseClass(pattern []byte) (set globClass, width int) {
	i := 1
	negate := i < len(pattern) && pattern[i] == '^'
	if negate {
		i++
	}
	for ; i < len(pattern) && pattern[i] != ']'; i++ {
		switch {
		case pattern[i] == '\\' && i+1 < len(pattern):
			i++
			set.add(pattern[i])
		case i+2 < len(pattern) && pattern[i+1] == '-':
			lo, hi := int8(pattern[i]), int8(pattern[i+2]) // C's char has a sign
			for c := int(min(lo, hi)); c <= int(max(lo, hi)); c++ {
				set.add(byte(c))
			}
			i += 2
		default:
			set.add(pattern[i])
		}
	}
	if i < len(pattern) {
		i++ // the closing bracket
	}
	if negate {
		for w := range set {
			set[w] = ^set[w]
		}
	}
	return set, i
}

// Match reports whether s matches. Once the budget is used up nothing does, and Slow is set.
//
// Two marks are enough where others recurse: after a mismatch only the last "*"
// can take one byte more, so the time is O(len(pattern)*len(s)).
func (g *GlobRun) Match(s string) bool {
	if s == "" {
		return len(g.elems) == 0 || len(g.elems) == 1 && g.elems[0].kind == globStar
	}
	free := globFreeSteps * (len(s) + 1)
	p, i, steps := 0, 0, 0
	star, resume := -1, 0
	for i < len(s) {
		if steps++; steps > free && !g.charge() {
			return false
		}
		if p < len(g.elems) {
			e := g.elems[p]
			if e.kind == globStar {
				if p++; p == len(g.elems) {
					return true
				}
				star, resume = p, i
				continue
			}
			if g.one(e, s[i]) {
				p++
				i++
				continue
			}
		}
		if star < 0 {
			return false
		}
		resume++
		p, i = star, resume
	}
	for p < len(g.elems) && g.elems[p].kind == globStar {
		p++
	}
	return p == len(g.elems)
}

// charge takes one step from the budget.
func (g *GlobRun) charge() bool {
	g.budget--
	g.Slow = g.Slow || g.budget < 0
	return !g.Slow
}

// one matches c against an element that is not "*".
func (g *Glob) one(e globElem, c byte) bool {
	switch e.kind {
	case globByte:
		return e.char == c
	case globOneOf:
		return g.classes[e.class].has(c)
	}
	return true
}
