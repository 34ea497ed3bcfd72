package mutant

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

func TestMutantsAreListedOnce(t *testing.T) {
	seen := map[ID]bool{}
	for _, m := range All() {
		if m.ID == "" || m.Bug == "" || seen[m.ID] {
			t.Errorf("%+v is incomplete or listed twice", m)
		}
		seen[m.ID] = true
	}
}

// A build with the tag has the names in it, one without has not a trace.
func TestReleaseBinaryHasNoMutants(t *testing.T) {
	if n := traces(t, ""); len(n) > 0 {
		t.Errorf("a normal build of lockstep contains %q", n)
	}
	if n := traces(t, "mutants"); len(n) != len(All())+1 {
		t.Errorf("a build with the tag contains %q only", n)
	}
}

// traces builds lockstep and returns which words of this package are in it.
func traces(t *testing.T, tags string) (found []string) {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "lockstep")
	cmd := exec.Command("go", "build", "-tags", tags, "-o", binary, "../../cmd/lockstep")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	content, err := os.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	words := []string{"LOCKSTEP_MUTANT"}
	for _, m := range All() {
		words = append(words, string(m.ID))
	}
	for _, w := range words {
		if bytes.Contains(content, []byte(w)) {
			found = append(found, w)
		}
	}
	return found
}
