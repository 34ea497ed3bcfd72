package e2e

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/lockstepkv/lockstep/internal/procs"
)

// stopPatience is how long a node may take to end after SIGTERM.
const stopPatience = patience

// binary is built once per run of the tests.
var binary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "lockstep-e2e-")
	if err != nil {
		return "", err
	}
	return procs.Build(context.Background(), filepath.Join("..", ".."), dir, "")
})

// Binary returns the path of the lockstep binary.
func Binary(t testing.TB) string {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// startProcess runs the binary with args in the directory of its output, which is
// appended to the file.
func startProcess(binary, output string, args []string) (*procs.Process, error) {
	cmd := exec.Command(binary, args...)
	cmd.Env, cmd.Dir = procs.CleanEnv(), filepath.Dir(output)
	return procs.Start(cmd, output)
}
