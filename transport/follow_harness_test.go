//go:build harness

package transport

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestFollow(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cuts")
	f := NewFaults()
	say := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		f.obey(path)
	}
	deaf := func() string {
		var list []string
		for _, peer := range []string{"n1", "n2", "n3"} {
			if fault, _ := f.fault(peer, Inbound); fault == Drop {
				list = append(list, peer)
			}
			if fault, _ := f.fault(peer, Outbound); fault != Healthy {
				t.Errorf("what goes to %s is cut as well", peer)
			}
		}
		return strings.Join(list, " ")
	}
	f.obey(path) // there is none yet
	for _, want := range []string{"", "n2", "n1 n3", "n3", ""} {
		say(want + "\n")
		if got := deaf(); got != want {
			t.Errorf("deaf to %q, want %q", got, want)
		}
	}
	f.noteHeld("n2")
	f.noteHeld("n2")
	if err := writeHeld(path+HeldSuffix, f.Held()); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(path + HeldSuffix); err != nil || string(text) != "n2 2\n" {
		t.Errorf("counts: %q, %v", text, err)
	}
}
