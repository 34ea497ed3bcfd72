package zsets

import (
	"bytes"
	"math"
	"strconv"

	"github.com/lockstepkv/lockstep/fsm/command"
)

// parseScore reads a score as Redis does where it is strict: nothing before or behind the
// number, no NaN, and no number so large or small that a double is infinite or 0.
func parseScore(b []byte) (float64, error) {
	text, ok := number(b)
	if !ok {
		return 0, errNotScore
	}
	score, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(score) || score == 0 && !isZero(text) {
		return 0, errNotScore
	}
	return score, nil
}

// parseBound reads what strtod reads, up to a byte 0. Nothing is 0, and what is too large
// infinite.
func parseBound(b []byte) (float64, error) {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	if len(b) == 0 {
		return 0, nil
	}
	text, ok := number(bytes.TrimLeft(b, " \t\n\v\f\r"))
	if !ok {
		return 0, errMinMax
	}
	bound, _ := strconv.ParseFloat(text, 64) // of what is out of range it returns the nearest
	if math.IsNaN(bound) {
		return 0, errMinMax
	}
	return bound, nil
}

// number returns b as strconv has it, if it is a number as a whole.
func number(b []byte) (text string, ok bool) {
	digits := b
	if len(digits) > 0 && (digits[0] == '-' || digits[0] == '+') {
		digits = digits[1:]
	}
	switch {
	case command.IsWord(digits, "INF"), command.IsWord(digits, "INFINITY"):
		return string(b), true
	case len(digits) > 2 && digits[0] == '0' && digits[1]|0x20 == 'x':
		rest, ok := mantissa(digits[2:], isHexDigit)
		if !ok {
			return "", false
		}
		if len(rest) == 0 {
			return string(b) + "p0", true
		}
		return string(b), rest[0]|0x20 == 'p' && isExponent(rest[1:])
	}
	rest, ok := mantissa(digits, isDigit)
	return string(b), ok && (len(rest) == 0 || rest[0]|0x20 == 'e' && isExponent(rest[1:]))
}

// mantissa skips digits, with a point among them, of which there must be one at least.
func mantissa(b []byte, digit func(c byte) bool) (rest []byte, ok bool) {
	point := false
	for i, c := range b {
		if c == '.' && !point {
			point = true
			continue
		}
		if !digit(c) {
			return b[i:], ok
		}
		ok = true
	}
	return nil, ok
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isHexDigit(c byte) bool { return isDigit(c) || c|0x20 >= 'a' && c|0x20 <= 'f' }

func isExponent(b []byte) bool {
	if len(b) > 0 && (b[0] == '-' || b[0] == '+') {
		b = b[1:]
	}
	for _, c := range b {
		if !isDigit(c) {
			return false
		}
	}
	return len(b) > 0
}

// isZero reports whether a number has no digit but 0.
func isZero(text string) bool {
	hex := false
	for i := range len(text) {
		switch c := text[i]; {
		case c|0x20 == 'x':
			hex = true
		case c|0x20 == 'p', !hex && c|0x20 == 'e':
			return true
		case c != '0' && isHexDigit(c):
			return false
		}
	}
	return true
}
