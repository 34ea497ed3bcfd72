package invariant

import "testing"

func TestCheckPanicsOnlyWhenEnabled(t *testing.T) {
	panics := func(holds bool) (did bool) {
		defer func() { did = recover() != nil }()
		Check(holds, "%d", 1)
		return false
	}
	if panics(true) || panics(false) != Enabled {
		t.Fatalf("enabled %v, but a broken invariant panics: %v", Enabled, panics(false))
	}
}
