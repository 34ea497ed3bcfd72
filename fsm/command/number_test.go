package command

import (
	"strconv"
	"testing"
)

func TestParseInt(t *testing.T) {
	for _, n := range []int64{0, 1, -1, 9, 10, -10, 1 << 62, -1 << 63, 1<<63 - 1} {
		if got, ok := ParseInt(strconv.AppendInt(nil, n, 10)); !ok || got != n {
			t.Errorf("parseInt(%d) = %d, %v", n, got, ok)
		}
	}
	for _, s := range []string{"", "-", "-0", "00", "01", "+1", " 1", "1 ", "9223372036854775808", "-9223372036854775809", "18446744073709551617", "99999999999999999999", "x"} {
		if n, ok := ParseInt([]byte(s)); ok {
			t.Errorf("parseInt(%q) = %d", s, n)
		}
	}
}
