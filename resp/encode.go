package resp

import (
	"math"
	"strconv"
)

// Append appends v to dst as protocol proto (2 or 3) spells it.
func Append(dst []byte, v Value, proto int) []byte {
	switch v.Kind {
	case KindBulk:
		return appendBulk(dst, v.Str)
	case KindInt:
		return appendHeader(dst, ':', v.Int)
	case KindSimple:
		return appendLine(dst, '+', v.Str)
	case KindError:
		return appendLine(dst, '-', v.Str)
	case KindNil, KindNilArray:
		return appendNil(dst, v.Kind, proto)
	case KindArray, KindMap, KindSet, KindPush, KindPairs:
		dst = appendAggregate(dst, v, proto)
		for i := range v.Elems {
			dst = Append(appendPair(dst, v.Kind, i, proto), v.Elems[i], proto)
		}
		return dst
	}
	if proto >= 3 {
		return appendScalar3(dst, v)
	}
	return appendScalar2(dst, v)
}

func appendNil(dst []byte, k Kind, proto int) []byte {
	switch {
	case proto >= 3:
		return append(dst, "_\r\n"...)
	case k == KindNilArray:
		return append(dst, "*-1\r\n"...)
	default:
		return append(dst, "$-1\r\n"...)
	}
}

// appendAggregate appends the header of an array, map, set or push.
func appendAggregate(dst []byte, v Value, proto int) []byte {
	n := int64(len(v.Elems))
	if proto >= 3 {
		switch v.Kind {
		case KindMap:
			return appendHeader(dst, '%', n/2)
		case KindSet:
			return appendHeader(dst, '~', n)
		case KindPush:
			return appendHeader(dst, '>', n)
		case KindPairs:
			return appendHeader(dst, '*', n/2)
		}
	}
	return appendHeader(dst, '*', n)
}

// appendPair appends the header of a pair where element i begins one.
func appendPair(dst []byte, of Kind, i, proto int) []byte {
	if of == KindPairs && proto >= 3 && i%2 == 0 {
		return appendHeader(dst, '*', 2)
	}
	return dst
}

func appendScalar3(dst []byte, v Value) []byte {
	switch v.Kind {
	case KindDouble:
		return append(appendDouble(append(dst, ','), v.Float()), '\r', '\n')
	case KindBool:
		if v.Int != 0 {
			return append(dst, "#t\r\n"...)
		}
		return append(dst, "#f\r\n"...)
	case KindVerbatim:
		dst = appendHeader(dst, '=', int64(len(v.Str))+4)
		dst = append(append(dst, "txt:"...), v.Str...)
		return append(dst, '\r', '\n')
	case KindBigNumber:
		return appendLine(dst, '(', v.Str)
	}
	return append(dst, "_\r\n"...)
}

func appendScalar2(dst []byte, v Value) []byte {
	switch v.Kind {
	case KindDouble:
		var tmp [32]byte
		return appendBulk(dst, appendDouble(tmp[:0], v.Float()))
	case KindBool:
		return appendHeader(dst, ':', v.Int&1)
	case KindVerbatim, KindBigNumber:
		return appendBulk(dst, v.Str)
	}
	return append(dst, "$-1\r\n"...)
}

// appendDouble spells f as Redis 7.0 does: printf's %.17g.
func appendDouble(dst []byte, f float64) []byte {
	switch {
	case math.IsInf(f, 1):
		return append(dst, "inf"...)
	case math.IsInf(f, -1):
		return append(dst, "-inf"...)
	case math.IsNaN(f):
		return append(dst, "nan"...)
	}
	return strconv.AppendFloat(dst, f, 'g', 17, 64)
}

func appendBulk(dst, b []byte) []byte {
	dst = appendHeader(dst, '$', int64(len(b)))
	dst = append(dst, b...)
	return append(dst, '\r', '\n')
}

// appendHeader appends a type byte and a number.
func appendHeader(dst []byte, kind byte, n int64) []byte {
	if 0 <= n && n < 10 {
		return append(dst, kind, byte('0'+n), '\r', '\n')
	}
	dst = strconv.AppendInt(append(dst, kind), n, 10)
	return append(dst, '\r', '\n')
}

// appendLine appends a text that must stay on one line. A line break inside
// becomes a space, as in Redis's error replies: else the text could be
// taken for further replies.
func appendLine(dst []byte, kind byte, text []byte) []byte {
	dst = append(dst, kind)
	start := len(dst)
	dst = append(dst, text...)
	for i := start; i < len(dst); i++ {
		if dst[i] == '\r' || dst[i] == '\n' {
			dst[i] = ' '
		}
	}
	return append(dst, '\r', '\n')
}

// AppendCommand appends a request as clients send it: an array of bulk strings.
func AppendCommand(dst []byte, args [][]byte) []byte {
	dst = appendHeader(dst, '*', int64(len(args)))
	for _, a := range args {
		dst = appendBulk(dst, a)
	}
	return dst
}
