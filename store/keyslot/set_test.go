package keyslot

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestSet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s Set
		in := map[uint16]bool{}
		for _, first := range rapid.SliceOfN(rapid.Uint16Range(0, Count-1), 0, 20).Draw(t, "first") {
			for slot := int(first); slot < min(Count, int(first)+rapid.IntRange(1, 200).Draw(t, "n")); slot++ {
				s.Add(uint16(slot))
				in[uint16(slot)] = true
			}
		}
		if s.Len() != len(in) || s.Whole() {
			t.Fatalf("%d slots, want %d", s.Len(), len(in))
		}
		var listed []uint16
		for _, r := range s.Ranges() {
			for slot := int(r[0]); slot <= int(r[1]); slot++ {
				listed = append(listed, uint16(slot))
			}
			if r[1]+1 < Count && s.Has(r[1]+1) {
				t.Fatalf("%v ends too early", r)
			}
		}
		for slot := range uint16(Count) {
			if s.Has(slot) != in[slot] {
				t.Fatalf("slot %d: %v", slot, s.Has(slot))
			}
		}
		if len(listed) != len(in) || !slices.IsSorted(listed) || slices.ContainsFunc(listed, func(slot uint16) bool { return !in[slot] }) {
			t.Fatalf("%v", s.Ranges())
		}
	})
}

func TestWholeSet(t *testing.T) {
	var none *Set
	if all := All(); !all.Whole() || all.Len() != Count || !none.Whole() || len(all.Ranges()) != 1 || all.Ranges()[0] != [2]uint16{0, Count - 1} {
		t.Errorf("%d slots, %v", all.Len(), all.Ranges())
	}
	if !All().Has(0) || !All().Has(Count-1) {
		t.Error("a slot is missing")
	}
}
