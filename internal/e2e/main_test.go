package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	path, err := binary()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	starter := goleak.IgnoreAnyFunction("github.com/lockstepkv/lockstep/internal/procs.init.func1.1") // lasts on purpose
	goleak.VerifyTestMain(m, starter, goleak.Cleanup(func(code int) {
		os.RemoveAll(filepath.Dir(path))
		os.Exit(code)
	}))
}
