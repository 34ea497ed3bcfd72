package procs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/lockstepkv/lockstep/client"
)

// Node is where a node has its data and listens.
type Node struct {
	ID               string
	DataDir          string
	HTTP, RESP, Peer string // host:port
}

// ServeArgs begin the command line of a node; more flags may follow.
func (n Node) ServeArgs() []string {
	return []string{"serve", "--id", n.ID, "--data-dir", n.DataDir, "--http", n.HTTP, "--resp", n.RESP, "--peer", n.Peer}
}

// Member is the node's part of --initial-cluster, whose parts are joined by commas.
func (n Node) Member() string { return n.ID + "=" + n.Peer }

// Ready asks the first node of c, once, whether every shard of the node serves.
func Ready(ctx context.Context, c *client.HTTP) error {
	answer, err := c.Exchange(ctx, client.Request{Method: http.MethodGet, Path: "/readyz"})
	if err == nil && answer.Status != http.StatusOK {
		err = fmt.Errorf("%s: %d %s", answer.Node, answer.Status, answer.Body)
	}
	return err
}

// CleanEnv is the environment without settings of Lockstep.
func CleanEnv() []string {
	var env []string
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "LOCKSTEP_") {
			env = append(env, v)
		}
	}
	return env
}

// Build compiles `lockstep` from the repository in root into dir, with build tags and other flags
// of go build, and returns the path of the binary.
func Build(ctx context.Context, root, dir, tags string, flags ...string) (string, error) {
	path, err := filepath.Abs(filepath.Join(dir, "lockstep"))
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, "go", append(append([]string{"build", "-tags", tags, "-o", path}, flags...), "./cmd/lockstep")...)
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build lockstep: %w\n%s", err, out)
	}
	return path, nil
}

// LastLines returns the end of a file, or why it cannot be read.
func LastLines(path string, n int) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	lines := bytes.Split(bytes.TrimRight(text, "\n"), []byte("\n"))
	return string(bytes.Join(lines[max(0, len(lines)-n):], []byte("\n")))
}

// ErrGiveUp ends Poll: asking again is of no use.
var ErrGiveUp = errors.New("given up")

// Poll calls check until it returns nil. When ctx ends it returns check's last error with that of
// ctx, and check's error at once when that is ErrGiveUp.
func Poll(ctx context.Context, interval time.Duration, check func() error) error {
	last := errors.New("there was no time")
	for {
		err := check()
		if err == nil || errors.Is(err, ErrGiveUp) {
			return err
		}
		if ctx.Err() == nil {
			last = err
		}
		if !Sleep(ctx, interval) {
			return fmt.Errorf("%w: %w", context.Cause(ctx), last)
		}
	}
}
