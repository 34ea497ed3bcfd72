package command

import (
	"bytes"
	"math/big"

	"github.com/lockstepkv/lockstep/resp"
)

// Extended is a number as C's long double, with which INCRBYFLOAT and HINCRBYFLOAT
// compute. On x86 that is the 80 bit extended format: 64 bits of mantissa, 15 bits of
// exponent. It is rebuilt here on math/big with the same precision and rounding, so that
// replies are Redis's to the last digit and the same on every machine.
type Extended struct {
	x   *big.Float
	inf bool // of either sign
}

// Errors of sums in Redis's words.
const (
	ErrNotFloat = resp.Error("ERR value is not a valid float")
	ErrNaN      = resp.Error("ERR increment would produce NaN or Infinity")
)

const (
	extendedBits   = 64
	extendedMaxExp = 16384  // every finite value is below 2^16384
	extendedTiny   = -16446 // what is not above 2^-16446 rounds to zero
	maxFloatChars  = 5 * 1024
	maxDecimalExp  = 6000 // beyond what 80 bits reach, whatever the digits
	fractionDigits = 17
)

// Finite reports whether a is not infinite.
func (a Extended) Finite() bool { return !a.inf }

// Add returns a+b, or false when that is not a finite number.
func (a Extended) Add(b Extended) (sum Extended, ok bool) {
	if a.inf || b.inf {
		return Extended{}, false
	}
	x := new(big.Float).SetPrec(extendedBits).Add(a.x, b.x)
	return Extended{x: x}, x.MantExp(nil) <= extendedMaxExp
}

// Text is what printf's "%.17Lf" makes of a finite number, without trailing zeros.
func (a Extended) Text() []byte {
	out := a.x.Append(nil, 'f', fractionDigits)
	out = bytes.TrimRight(out, "0")
	out = bytes.TrimSuffix(out, []byte("."))
	if string(out) == "-0" {
		return []byte("0")
	}
	return out
}

// ParseExtended reads a number as C's strtold does: decimal or hexadecimal,
// with an optional exponent, or infinity. What strtold reports as out of range,
// NaN, and anything before or after the number are not ok.
func ParseExtended(b []byte) (a Extended, ok bool) {
	if len(b) == 0 || len(b) >= maxFloatChars {
		return a, false
	}
	neg := b[0] == '-'
	if neg || b[0] == '+' {
		b = b[1:]
	}
	if IsWord(b, "INF") || IsWord(b, "INFINITY") {
		return Extended{inf: true}, true
	}
	var m mantissa
	if len(b) > 2 && b[0] == '0' && b[1]|0x20 == 'x' {
		m, ok = splitNumber(b[2:], 16, 'p')
	} else {
		m, ok = splitNumber(b, 10, 'e')
	}
	if !ok {
		return a, false
	}
	a.x, ok = m.float()
	if ok && neg {
		a.x.Neg(a.x)
	}
	return a, ok
}

// mantissa is digits * base^-scale * expBase^exp.
type mantissa struct {
	digits []byte // without the point
	base   int
	scale  int // digits after the point
	exp    int // of ten, or of two when base is 16
}

func splitNumber(b []byte, base int, mark byte) (mantissa, bool) {
	m := mantissa{base: base, digits: make([]byte, 0, len(b))}
	point := false
	i := 0
	for ; i < len(b); i++ {
		c := b[i]
		if c == '.' && !point {
			point = true
			continue
		}
		if !isDigit(c, base) {
			break
		}
		m.digits = append(m.digits, c)
		if point {
			m.scale++
		}
	}
	if len(m.digits) == 0 {
		return m, false
	}
	if i == len(b) {
		return m, true
	}
	if b[i]|0x20 != mark {
		return m, false
	}
	var ok bool
	m.exp, ok = parseExponent(b[i+1:])
	return m, ok
}

func isDigit(c byte, base int) bool {
	if c >= '0' && c <= '9' {
		return true
	}
	c |= 0x20
	return base == 16 && c >= 'a' && c <= 'f'
}

// parseExponent reads a signed number; beyond a million it stays there.
func parseExponent(b []byte) (int, bool) {
	neg := len(b) > 0 && b[0] == '-'
	if len(b) > 0 && (neg || b[0] == '+') {
		b = b[1:]
	}
	if len(b) == 0 {
		return 0, false
	}
	n := 0
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = min(n*10+int(c-'0'), 1_000_000)
	}
	if neg {
		n = -n
	}
	return n, true
}

// float returns the nearest 80 bit value, ties to even; not ok when that is out
// of range. The quotient is taken of exact integers, so that it is rounded once.
func (m mantissa) float() (*big.Float, bool) {
	x := new(big.Float).SetPrec(extendedBits)
	m.digits = bytes.TrimLeft(m.digits, "0")
	if len(m.digits) == 0 {
		return x, true
	}
	n, _ := new(big.Int).SetString(string(m.digits), m.base)
	if m.base == 16 {
		x.SetInt(n)
		x.SetMantExp(x, m.exp-4*m.scale)
		return x, inExtendedRange(x)
	}
	exp := m.exp - m.scale
	if magnitude := len(m.digits) + exp; magnitude > maxDecimalExp || magnitude < -maxDecimalExp {
		return nil, false
	}
	if exp >= 0 {
		x.SetInt(n.Mul(n, pow10(exp)))
	} else {
		x.Quo(new(big.Float).SetInt(n), new(big.Float).SetInt(pow10(-exp)))
	}
	return x, inExtendedRange(x)
}

func inExtendedRange(x *big.Float) bool {
	exp := x.MantExp(nil) // x is in [2^(exp-1), 2^exp)
	if exp-1 == extendedTiny {
		half := new(big.Float).SetMantExp(big.NewFloat(1), extendedTiny)
		return x.Cmp(half) > 0
	}
	return exp <= extendedMaxExp && exp-1 > extendedTiny
}

func pow10(n int) *big.Int {
	return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n)), nil)
}
