package command

import (
	"fmt"
	"testing"
)

// Units are read alike from one piece and from several, wherever these are cut.
func TestUnitsInParts(t *testing.T) {
	var b Batch
	b.Add(Args{[]byte("SET"), []byte("k"), make([]byte, 200)})
	b.AddOwned("owner", Args{[]byte("LOCK"), []byte("l")})
	b.AddMulti([]Watch{{Key: []byte("w"), Version: 1 << 40}}, []Args{{[]byte("GET"), []byte("k")}, {[]byte("SET"), []byte("k"), {}}})
	read := func(r *UnitReader) (all []string) {
		var u Unit
		for !r.Done() {
			if err := r.Next(&u); err != nil {
				t.Fatal(err)
			}
			all = append(all, fmt.Sprint(u))
		}
		return all
	}
	var r UnitReader
	r.Reset(b.Body)
	want := fmt.Sprint(read(&r))
	for i := range b.Body {
		for _, j := range []int{i, min(i+1, len(b.Body)), len(b.Body)} {
			r.ResetParts([][]byte{b.Body[:i], b.Body[i:j], nil, b.Body[j:], {}})
			if got := fmt.Sprint(read(&r)); got != want {
				t.Fatalf("cut at %d and %d: %s, want %s", i, j, got, want)
			}
		}
	}
	r.ResetParts([][]byte{b.Body[:7], b.Body[7:100]})
	if err := r.Next(new(Unit)); err == nil {
		t.Error("a unit of which the end is missing was read")
	}
}
