package resp

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/lockstepkv/lockstep/internal/wire"
)

// The binary codec carries Values in peers' messages and in snapshots. Unlike
// RESP it keeps every kind apart and decodes without copying.
//
//	value = kind:byte body
//	      | classedError:byte class:byte uvarint(len) octets, a KindError with a class
//	body  = varint                  KindInt, KindBool
//	      | 8 octets, little endian KindDouble
//	      | uvarint(len) octets     KindSimple, KindError, KindBulk, KindVerbatim, KindBigNumber
//	      | uvarint(n) value*n      KindArray, KindMap, KindSet, KindPush, KindPairs
//	      | nothing                 KindNil, KindNilArray
//
// The kind is stored by its number, so the order of the Kind constants is part
// of the format: new kinds go to the end.

const maxBinaryDepth = 64

// ErrMalformedBinary means that a binary value is damaged, or of a version
// that this one does not know.
var ErrMalformedBinary = errors.New("malformed binary value")

// classedError is the number of no kind.
const classedError = 0x80 | byte(KindError)

// AppendBinary appends the binary form of v to dst.
func AppendBinary(dst []byte, v Value) []byte {
	if c := v.Class(); c != ClassNone {
		dst = append(dst, classedError, byte(c))
		return append(binary.AppendUvarint(dst, uint64(len(v.Str))), v.Str...)
	}
	dst = append(dst, byte(v.Kind))
	switch v.Kind {
	case KindInt, KindBool:
		return binary.AppendVarint(dst, v.Int)
	case KindDouble:
		return binary.LittleEndian.AppendUint64(dst, uint64(v.Int))
	case KindSimple, KindError, KindBulk, KindVerbatim, KindBigNumber:
		return append(binary.AppendUvarint(dst, uint64(len(v.Str))), v.Str...)
	case KindArray, KindMap, KindSet, KindPush, KindPairs:
		dst = binary.AppendUvarint(dst, uint64(len(v.Elems)))
		for i := range v.Elems {
			dst = AppendBinary(dst, v.Elems[i])
		}
	}
	return dst
}

// BinarySize returns how many bytes AppendBinary appends at most, so that room for
// them is made once.
func (v Value) BinarySize() int {
	n := 1 + binary.MaxVarintLen64 + len(v.Str)
	for i := range v.Elems {
		n += v.Elems[i].BinarySize()
	}
	return n
}

// DecodeBinary reads one value from the front of b and returns what follows
// it. The Value shares b. The error wraps ErrMalformedBinary.
func DecodeBinary(b []byte) (v Value, rest []byte, err error) {
	return decodeBinary(b, 0)
}

// DecodeBinaryList is DecodeBinary for n values in a row. Memory grows with what
// is really there, not with n.
func DecodeBinaryList(b []byte, n uint64) (list []Value, rest []byte, err error) {
	if n > uint64(len(b)) {
		return nil, nil, badBinary("length")
	}
	return decodeList(b, int(n), 0)
}

func decodeBinary(b []byte, depth int) (Value, []byte, error) {
	if len(b) == 0 {
		return Value{}, nil, badBinary("ends early")
	}
	v := Value{Kind: Kind(b[0])}
	if b[0] == classedError {
		if len(b) < 2 || b[1] == byte(ClassNone) || b[1] >= byte(classCount) {
			return Value{}, nil, badBinary("class")
		}
		v.Kind, v.Int = KindError, int64(b[1])
		b = b[1:]
	}
	b = b[1:]
	switch v.Kind {
	case KindNil, KindNilArray:
		return v, b, nil
	case KindInt, KindBool:
		n, used := binary.Varint(b)
		if used <= 0 {
			return Value{}, nil, badBinary("integer")
		}
		v.Int = n
		return v, b[used:], nil
	case KindDouble:
		if len(b) < 8 {
			return Value{}, nil, badBinary("double")
		}
		v.Int = int64(binary.LittleEndian.Uint64(b))
		return v, b[8:], nil
	case KindSimple, KindError, KindBulk, KindVerbatim, KindBigNumber:
		n, b, err := binaryCount(b)
		if err != nil {
			return Value{}, nil, err
		}
		v.Str = b[:n:n]
		return v, b[n:], nil
	case KindArray, KindMap, KindSet, KindPush, KindPairs:
		return decodeElems(v, b, depth)
	}
	return Value{}, nil, badBinary("unknown kind")
}

func decodeElems(v Value, b []byte, depth int) (Value, []byte, error) {
	if depth >= maxBinaryDepth {
		return Value{}, nil, badBinary("nested too deep")
	}
	n, b, err := binaryCount(b)
	if err != nil {
		return Value{}, nil, err
	}
	if (v.Kind == KindMap || v.Kind == KindPairs) && n%2 != 0 {
		return Value{}, nil, badBinary("pairs with an odd number of elements")
	}
	if v.Elems, b, err = decodeList(b, n, depth+1); err != nil {
		return Value{}, nil, err
	}
	return v, b, nil
}

// trustedElems is how many elements are made room for because of their number
// alone. It is small, because a few bytes can nest maxBinaryDepth numbers.
const trustedElems = 64

func decodeList(b []byte, n, depth int) (list []Value, rest []byte, err error) {
	if n > 0 {
		list = make([]Value, 0, min(n, trustedElems))
	}
	for range n {
		var e Value
		if e, b, err = decodeBinary(b, depth); err != nil {
			return nil, nil, err
		}
		list = append(list, e)
	}
	return list, b, nil
}

// binaryCount reads a number of things that take at least a byte each.
func binaryCount(b []byte) (int, []byte, error) {
	n, rest, ok := wire.CutUvarint(b)
	if !ok || n > uint64(len(rest)) {
		return 0, nil, badBinary("length")
	}
	return int(n), rest, nil
}

func badBinary(what string) error { return fmt.Errorf("%w: %s", ErrMalformedBinary, what) }
