package command

import (
	"testing"

	"github.com/lockstepkv/lockstep/resp"
)

func TestMerges(t *testing.T) {
	list := func(words ...string) resp.Value {
		var v []resp.Value
		for _, w := range words {
			v = append(v, resp.BulkString(w))
		}
		return resp.Array(v...)
	}
	numbers := []Part{{Reply: resp.Int(2)}, {Reply: resp.Int(40)}}
	lists := []Part{{Reply: list("c", "a"), Keys: []int{2, 0}}, {Reply: list("b"), Keys: []int{1}}}
	for _, c := range []struct {
		what      string
		got, want resp.Value
	}{
		{"sum", Sum(numbers, 0), resp.Int(42)},
		{"sum of nothing", Sum(nil, 0), resp.Int(0)},
		{"concat", Concat(lists, 0), list("c", "a", "b")},
		{"in order", InOrder(lists, 3), list("a", "b", "c")},
		{"first", FirstReply(numbers, 0), resp.Int(2)},
		{"first of nothing", FirstReply(nil, 0), resp.OK},
	} {
		if got, want := string(resp.Append(nil, c.got, 2)), string(resp.Append(nil, c.want, 2)); got != want {
			t.Errorf("%s: %q, want %q", c.what, got, want)
		}
	}
}

func TestNumberCursor(t *testing.T) {
	for _, inner := range []string{"0", "7", "281474976710655"} {
		joined, err := NumberCursor.Join(3, []byte(inner))
		if err != nil {
			t.Fatal(err)
		}
		if shard, back, err := NumberCursor.Read(joined); shard != 3 || string(back) != inner || err != nil {
			t.Errorf("%s became %s: shard %d, %s, %v", inner, joined, shard, back, err)
		}
	}
	for _, bad := range []string{"", "-1", "x", "18446744073709551616"} {
		if _, _, err := NumberCursor.Read([]byte(bad)); err == nil {
			t.Errorf("%q is a cursor", bad)
		}
	}
	if _, err := NumberCursor.Join(1, []byte("281474976710656")); err == nil {
		t.Error("a shard's cursor ran into the shard's number")
	}
}
