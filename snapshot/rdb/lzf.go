package rdb

import "errors"

var errLZF = errors.New("malformed LZF data")

// lzfMaxRatio is the most that LZF can expand: a back reference of three bytes
// stands for at most 264.
const lzfMaxRatio = 88

// lzfDecompress appends to dst the n bytes that src stands for.
//
// LZF (Marc Lehmann's libLZF) is a sequence of runs that start with a control
// byte c. c < 32: c+1 literal bytes follow. Otherwise a back reference: its
// length is (c>>5)+2, or 9 plus the next byte when c>>5 is 7; its distance is
// 1 + the low five bits of c as high byte and the next byte as low byte.
func lzfDecompress(dst, src []byte, n int) ([]byte, error) {
	start := len(dst)
	for len(src) > 0 {
		c := int(src[0])
		src = src[1:]
		if c < 32 {
			if len(src) < c+1 {
				return dst, errLZF
			}
			dst = append(dst, src[:c+1]...)
			src = src[c+1:]
		} else {
			length := c >> 5
			if length == 7 {
				if len(src) == 0 {
					return dst, errLZF
				}
				length += int(src[0])
				src = src[1:]
			}
			length += 2
			if len(src) == 0 {
				return dst, errLZF
			}
			from := len(dst) - (c&31<<8 | int(src[0])) - 1
			src = src[1:]
			if from < start {
				return dst, errLZF
			}
			// Byte by byte: a reference may overlap what it produces.
			for i := range length {
				dst = append(dst, dst[from+i])
			}
		}
		if len(dst)-start > n {
			return dst, errLZF
		}
	}
	if len(dst)-start != n {
		return dst, errLZF
	}
	return dst, nil
}
