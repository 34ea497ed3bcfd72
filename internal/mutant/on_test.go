//go:build mutants

package mutant

import (
	"errors"
	"testing"
)

func TestFind(t *testing.T) {
	for _, m := range All() {
		if id, err := find(string(m.ID)); id != m.ID || err != nil {
			t.Errorf("find(%q) = %q, %v", m.ID, id, err)
		}
	}
	if id, err := find(""); id != "" || err != nil {
		t.Errorf("no name: %q, %v", id, err)
	}
	for _, name := range []string{"nobody", "read-unconfirmed,lease-too-long", " lease-too-long"} {
		if _, err := find(name); !errors.Is(err, errUnknown) {
			t.Errorf("find(%q): %v", name, err)
		}
	}
}
