// Package bytesize reads and writes numbers of bytes in Redis's notation.
package bytesize

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// unit returns the factor of one of Redis's units: k is 1000, kb is 1024.
func unit(name string) (factor int64, ok bool) {
	switch strings.ToLower(name) {
	case "", "b":
		return 1, true
	case "k":
		return 1e3, true
	case "kb":
		return 1 << 10, true
	case "m":
		return 1e6, true
	case "mb":
		return 1 << 20, true
	case "g":
		return 1e9, true
	case "gb":
		return 1 << 30, true
	}
	return 0, false
}

// Parse reads digits with a unit, or without: bytes.
func Parse(s string) (int64, error) {
	name := strings.TrimLeft(s, "0123456789")
	number := s[:len(s)-len(name)]
	factor, ok := unit(name)
	if number == "" || !ok {
		return 0, fmt.Errorf("%q is not a size: write bytes or a unit as in 100, 64kb, 512mb, 2gb", s)
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n > math.MaxInt64/factor {
		return 0, fmt.Errorf("size %q is too large", s)
	}
	return n * factor, nil
}

// Format writes n with the largest binary unit that divides it. Parse reads that.
func Format(n int64) string {
	for _, name := range []string{"gb", "mb", "kb"} {
		if factor, _ := unit(name); n != 0 && n%factor == 0 {
			return strconv.FormatInt(n/factor, 10) + name
		}
	}
	return strconv.FormatInt(n, 10)
}
