package resp

import (
	"math"
	"math/bits"
	"strconv"
)

// Redis 7.2 writes doubles with Grisu2 (Loitsch, Printing Floating-Point Numbers Quickly and
// Accurately with Integers, PLDI 2010): digits that read back as the same number, in 999 of 1000
// cases the fewest. To give the same digits in the other one, it is followed here step by step.

// AppendDouble spells f as Redis 7.2 does: whole numbers below 2^62 in full.
func AppendDouble(dst []byte, f float64) []byte {
	switch {
	case math.IsInf(f, 1):
		return append(dst, "inf"...)
	case math.IsInf(f, -1):
		return append(dst, "-inf"...)
	case math.IsNaN(f):
		return append(dst, "nan"...)
	case f == 0 && math.Signbit(f):
		return append(dst, "-0"...)
	case f >= -1<<62 && f <= 1<<62 && f == math.Trunc(f):
		return strconv.AppendInt(dst, int64(f), 10)
	}
	if f < 0 {
		dst, f = append(dst, '-'), -f
	}
	var buf [maxDigits]byte
	digits, exp := grisu2(&buf, f)
	return appendDigits(dst, digits, exp)
}

// appendDigits writes digits * 10^exp, with an exponent where Redis does so.
func appendDigits(dst, digits []byte, exp int) []byte {
	n := len(digits)
	magnitude := exp + n - 1
	size := max(magnitude, -magnitude)
	switch {
	case exp >= 0 && size < n+7:
		dst = append(dst, digits...)
		for range exp {
			dst = append(dst, '0')
		}
		return dst
	case exp < 0 && (exp > -7 || size < 4):
		if n+exp > 0 {
			dst = append(append(dst, digits[:n+exp]...), '.')
			return append(dst, digits[n+exp:]...)
		}
		dst = append(dst, "0."...)
		for range -exp - n {
			dst = append(dst, '0')
		}
		return append(dst, digits...)
	}
	dst = append(dst, digits[0])
	if n > 1 {
		dst = append(append(dst, '.'), digits[1:]...)
	}
	sign := byte('+')
	if magnitude < 0 {
		sign = '-'
	}
	return strconv.AppendInt(append(dst, 'e', sign), int64(size), 10)
}

const (
	maxDigits = 18
	fraction  = 52            // bits of a double's fraction
	bias      = 1023 + 52     // of its exponent, with the fraction as an integer
	hidden    = 1 << fraction // the bit above the fraction
)

// scaled is frac * 2^exp.
type scaled struct {
	frac uint64
	exp  int
}

// times is the product, rounded to 64 bits.
func (a scaled) times(b scaled) scaled {
	high, low := bits.Mul64(a.frac, b.frac)
	return scaled{high + low>>63, a.exp + b.exp + 64}
}

// normal is a with its highest bit set.
func (a scaled) normal() scaled {
	shift := bits.LeadingZeros64(a.frac)
	return scaled{a.frac << shift, a.exp - shift}
}

// grisu2 returns digits that, times 10^exp, read as f, which is finite and above 0.
func grisu2(buf *[maxDigits]byte, f float64) (digits []byte, exp int) {
	b := math.Float64bits(f)
	w := scaled{b & (hidden - 1), int(b >> fraction)}
	if w.exp > 0 {
		w.frac, w.exp = w.frac+hidden, w.exp-bias
	} else {
		w.exp = 1 - bias
	}
	// Between the neighbours' halves everything reads as f.
	upper := scaled{w.frac<<1 + 1, w.exp - 1}.normal()
	shift := 1
	if w.frac == hidden {
		shift = 2 // the one below is nearer
	}
	lower := scaled{w.frac<<shift - 1, w.exp - shift}
	lower = scaled{lower.frac << (lower.exp - upper.exp), upper.exp}

	power, k := powerFor(upper.exp)
	w, upper, lower = w.normal().times(power), upper.times(power), lower.times(power)
	lower.frac++
	upper.frac--
	return generate(buf, w.frac, upper, lower.frac, -k)
}

const (
	firstPower, powerStep   = -348, 8
	leastScaled, mostScaled = -60, -32
)

// powerFor returns a power 10^k that brings a number with that exponent where its integer
// part has at most 32 bits.
func powerFor(exp int) (power scaled, k int) {
	approx := int(-float64(exp+len(powersOfTen)) * 0.30102999566398114)
	i := (approx - firstPower) / powerStep
	for {
		k = firstPower + i*powerStep
		power = scaled{powersOfTen[i], k*1741647>>19 - 63} // 1741647/2^19 is log2(10)
		switch is := exp + power.exp + 64; {
		case is < leastScaled:
			i++
		case is > mostScaled:
			i--
		default:
			return power, k
		}
	}
}

// generate writes the digits of upper until what is left is within the bounds, and then
// brings the last one as near to w as it can.
func generate(buf *[maxDigits]byte, w uint64, upper scaled, lower uint64, exp int) ([]byte, int) {
	off, width := upper.frac-w, upper.frac-lower
	shift := -upper.exp
	whole, rest := upper.frac>>shift, upper.frac&(1<<shift-1)
	n := 0
	for kappa, unit := 9, uint64(1_000_000_000); kappa >= 0; kappa, unit = kappa-1, unit/10 {
		digit := whole / unit
		whole -= digit * unit
		if digit > 0 || n > 0 {
			buf[n] = byte('0' + digit)
			n++
		}
		if left := whole<<shift + rest; left <= width {
			nearer(buf[:n], width, left, unit<<shift, off)
			return buf[:n], exp + kappa
		}
	}
	for kappa, unit := -1, uint64(10); ; kappa, unit = kappa-1, unit*10 {
		rest *= 10
		width *= 10
		digit := rest >> shift
		if digit > 0 || n > 0 {
			buf[n] = byte('0' + digit)
			n++
		}
		if rest &= 1<<shift - 1; rest < width {
			nearer(buf[:n], width, rest, 1<<shift, off*unit)
			return buf[:n], exp + kappa
		}
	}
}

// nearer lowers the last digit while that comes nearer to what is off below.
func nearer(digits []byte, width, left, unit, off uint64) {
	for left < off && width-left >= unit && (left+unit < off || off-left > left+unit-off) {
		digits[len(digits)-1]--
		left += unit
	}
}

// powersOfTen are 10^(firstPower + i*powerStep), as 64 bits with the highest one set.
var powersOfTen = [...]uint64{
	0xfa8fd5a0081c0288, 0xbaaee17fa23ebf76, 0x8b16fb203055ac76, 0xcf42894a5dce35ea, 0x9a6bb0aa55653b2d,
	0xe61acf033d1a45df, 0xab70fe17c79ac6ca, 0xff77b1fcbebcdc4f, 0xbe5691ef416bd60c, 0x8dd01fad907ffc3c,
	0xd3515c2831559a83, 0x9d71ac8fada6c9b5, 0xea9c227723ee8bcb, 0xaecc49914078536d, 0x823c12795db6ce57,
	0xc21094364dfb5637, 0x9096ea6f3848984f, 0xd77485cb25823ac7, 0xa086cfcd97bf97f4, 0xef340a98172aace5,
	0xb23867fb2a35b28e, 0x84c8d4dfd2c63f3b, 0xc5dd44271ad3cdba, 0x936b9fcebb25c996, 0xdbac6c247d62a584,
	0xa3ab66580d5fdaf6, 0xf3e2f893dec3f126, 0xb5b5ada8aaff80b8, 0x87625f056c7c4a8b, 0xc9bcff6034c13053,
	0x964e858c91ba2655, 0xdff9772470297ebd, 0xa6dfbd9fb8e5b88f, 0xf8a95fcf88747d94, 0xb94470938fa89bcf,
	0x8a08f0f8bf0f156b, 0xcdb02555653131b6, 0x993fe2c6d07b7fac, 0xe45c10c42a2b3b06, 0xaa242499697392d3,
	0xfd87b5f28300ca0e, 0xbce5086492111aeb, 0x8cbccc096f5088cc, 0xd1b71758e219652c, 0x9c40000000000000,
	0xe8d4a51000000000, 0xad78ebc5ac620000, 0x813f3978f8940984, 0xc097ce7bc90715b3, 0x8f7e32ce7bea5c70,
	0xd5d238a4abe98068, 0x9f4f2726179a2245, 0xed63a231d4c4fb27, 0xb0de65388cc8ada8, 0x83c7088e1aab65db,
	0xc45d1df942711d9a, 0x924d692ca61be758, 0xda01ee641a708dea, 0xa26da3999aef774a, 0xf209787bb47d6b85,
	0xb454e4a179dd1877, 0x865b86925b9bc5c2, 0xc83553c5c8965d3d, 0x952ab45cfa97a0b3, 0xde469fbd99a05fe3,
	0xa59bc234db398c25, 0xf6c69a72a3989f5c, 0xb7dcbf5354e9bece, 0x88fcf317f22241e2, 0xcc20ce9bd35c78a5,
	0x98165af37b2153df, 0xe2a0b5dc971f303a, 0xa8d9d1535ce3b396, 0xfb9b7cd9a4a7443c, 0xbb764c4ca7a44410,
	0x8bab8eefb6409c1a, 0xd01fef10a657842c, 0x9b10a4e5e9913129, 0xe7109bfba19c0c9d, 0xac2820d9623bf429,
	0x80444b5e7aa7cf85, 0xbf21e44003acdd2d, 0x8e679c2f5e44ff8f, 0xd433179d9c8cb841, 0x9e19db92b4e31ba9,
	0xeb96bf6ebadf77d9, 0xaf87023b9bf0ee6b,
}
