package command

// MatchGlob reports whether s matches pattern in the way of Redis's KEYS: "*"
// is any run of bytes, "?" one byte, "[a-z]" and "[^a-z]" a class of bytes,
// "\x" the byte x itself. A class that is not closed ends with the pattern, a
// range may be written backwards, and a trailing backslash is itself. As in
// Redis, an empty string matches the empty pattern and "*", but not "**".
//
// Two marks are enough where others recurse: after a mismatch only the last "*"
// can take one byte more, so the time is O(len(pattern)*len(s)).
func MatchGlob(pattern, s string) bool {
	if s == "" {
		return pattern == "" || pattern == "*"
	}
	p, i := 0, 0
	star, resume := -1, 0
	for i < len(s) {
		if p < len(pattern) && pattern[p] == '*' {
			star, resume = p+1, i
			p++
			continue
		}
		if p < len(pattern) {
			if width, ok := matchOne(pattern[p:], s[i]); ok {
				p += width
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
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}

// matchOne matches c against the first element of pattern, which is not "*",
// and returns the length of that element.
func matchOne(pattern string, c byte) (width int, ok bool) {
	switch pattern[0] {
	case '?':
		return 1, true
	case '[':
		return matchClass(pattern, c)
	case '\\':
		if len(pattern) > 1 {
			return 2, pattern[1] == c
		}
	}
	return 1, pattern[0] == c
}

func matchClass(pattern string, c byte) (width int, ok bool) {
	i := 1
	negate := i < len(pattern) && pattern[i] == '^'
	if negate {
		i++
	}
	found := false
	for ; i < len(pattern) && pattern[i] != ']'; i++ {
		switch {
		case pattern[i] == '\\' && i+1 < len(pattern):
			i++
			found = found || pattern[i] == c
		case i+2 < len(pattern) && pattern[i+1] == '-':
			lo, hi := int8(pattern[i]), int8(pattern[i+2]) // C's char has a sign
			if lo > hi {
				lo, hi = hi, lo
			}
			i += 2
			found = found || lo <= int8(c) && int8(c) <= hi
		default:
			found = found || pattern[i] == c
		}
	}
	if i < len(pattern) {
		i++ // the closing bracket
	}
	return i, found != negate
}
