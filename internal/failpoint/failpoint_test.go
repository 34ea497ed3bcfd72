//go:build failpoints

package failpoint

import (
	"errors"
	"testing"
)

func TestInjectRunsWhatIsEnabled(t *testing.T) {
	boom := errors.New("boom")
	disable := Enable("a", func() error { return boom })
	if err := Inject("a"); err != boom {
		t.Fatal(err)
	}
	if err := Inject("b"); err != nil {
		t.Fatal(err)
	}
	disable()
	if err := Inject("a"); err != nil {
		t.Fatal(err)
	}
}

func TestSpecs(t *testing.T) {
	for spec, want := range map[string][]bool{
		"error(x)":   {true, true, true},
		"2*error":    {true, true, false, false},
		"2-error(x)": {false, false, true, true},
		"sleep(1us)": {false, false},
	} {
		disable, err := EnableSpec("p", spec)
		if err != nil {
			t.Fatal(err)
		}
		for i, fails := range want {
			if err := Inject("p"); (err != nil) != fails {
				t.Errorf("%s, hit %d: %v", spec, i, err)
			}
		}
		disable()
	}
	for _, bad := range []string{"", "eror", "error(x", "3error", "sleep(soon)", "exit(a)"} {
		if _, err := EnableSpec("p", bad); err == nil {
			t.Errorf("%q accepted", bad)
		}
	}
}

func TestEnvironment(t *testing.T) {
	points, err := parseEnv(" a=error(x); b=2*sleep(1ms) ;")
	if err != nil || len(points) != 2 || points["a"].hit() == nil || points["b"].remaining != 2 {
		t.Fatal(points, err)
	}
	if _, err := parseEnv("a"); err == nil {
		t.Fatal("accepted")
	}
}
