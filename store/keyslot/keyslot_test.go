package keyslot

import "testing"

// TestSlotIsThatOfRedisCluster: the figures are those of CLUSTER KEYSLOT.
func TestSlotIsThatOfRedisCluster(t *testing.T) {
	for key, want := range map[string]uint16{
		"": 0, "123456789": 0x31c3, "foo": 12182, "{foo}bar": 12182, "x{foo}{bar}": 12182, "bar": 5061,
		"{user1000}.following": 3443, "{}foo": 9500, "foo{": 7673, "foo{}{bar}": 8363,
		"foo{{bar}}zap": 4015, "foo{bar": 15278, "foo}{bar}": 5061, "a{b}c{d}": 3300,
	} {
		if got := Of([]byte(key)); got != want || got != OfString(key) {
			t.Errorf("Of(%q) = %d, OfString %d, want %d", key, got, OfString(key), want)
		}
	}
	if Of(nil) != 0 {
		t.Error("the empty key")
	}
}
