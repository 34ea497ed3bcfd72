package cluster

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
)

// Build compiles `lockstep` from the repository in root into dir, with build
// tags, and returns the path of the binary.
func Build(ctx context.Context, root, dir, tags string) (string, error) {
	path, err := filepath.Abs(filepath.Join(dir, "lockstep"))
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-tags", tags, "-o", path, "./cmd/lockstep")
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build lockstep: %w\n%s", err, out)
	}
	return path, nil
}
