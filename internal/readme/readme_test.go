package readme

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/lockstepkv/lockstep/internal/procs"
)

// blockTimeout is longer than a block takes on a machine that is busy with other things: the first one builds.
const blockTimeout = 5 * time.Minute

// TestReadmeCommands runs every shell block of README.md in order, in the
// repository, on a cluster of its own, and compares what the README shows.
func TestReadmeCommands(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	blocks := parseBlocks(string(text))
	if len(blocks) == 0 {
		t.Fatal("README.md has no shell block")
	}
	shell := newShell(t, root)
	for _, b := range blocks {
		start := time.Now()
		output, err := shell.run(t, shiftPorts(withoutTestScript(b.commands), shell.offset))
		if err != nil {
			t.Fatalf("README.md line %d: %v\n%s\noutput:\n%s", b.line, err, b.commands, output)
		}
		t.Logf("README.md line %d took %v:\n%s", b.line, time.Since(start).Round(time.Millisecond), output)
		if line, missing := missingLine(b.output, output); missing {
			t.Errorf("README.md line %d: the output has no line like %q\n%s\noutput:\n%s", b.line, line, b.commands, output)
		}
	}
}

// withoutTestScript leaves out scripts/test, which runs this test.
func withoutTestScript(commands string) string {
	var kept []string
	for line := range strings.SplitSeq(commands, "\n") {
		if !strings.HasPrefix(line, "scripts/test") {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "\n")
}

type shell struct {
	dir    string
	env    []string
	offset int // of the ports
}

func newShell(t *testing.T, root string) *shell {
	t.Helper()
	state := t.TempDir()
	var ports procs.Ports
	t.Cleanup(ports.Close)
	offset, err := ports.Offset([]int{7001, 7002, 7003, 8001, 8002, 8003, 9001, 9002, 9003})
	if err != nil {
		t.Fatal(err)
	}
	s := &shell{dir: root, offset: offset}
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "LOCKSTEP_") {
			s.env = append(s.env, v)
		}
	}
	s.env = append(s.env, "LOCKSTEP_CLUSTER_DIR="+filepath.Join(state, "cluster"),
		"LOCKSTEP_BASE_PORT_OFFSET="+strconv.Itoa(offset),
		"LOCKSTEP_ENDPOINT="+shiftPorts("http://127.0.0.1:8001", offset), "TMPDIR="+state)
	t.Cleanup(func() {
		if output, err := s.run(t, "scripts/cluster down"); err != nil {
			t.Logf("scripts/cluster down: %v\n%s", err, output)
		}
	})
	return s
}

func (s *shell) run(t *testing.T, commands string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), blockTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", commands)
	cmd.Dir, cmd.Env = s.dir, s.env
	// A file and not a pipe: the nodes that a block starts must not keep the
	// test waiting for its end.
	out, err := os.CreateTemp(t.TempDir(), "output")
	if err != nil {
		return "", err
	}
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	runErr := cmd.Run()
	output, err := os.ReadFile(out.Name())
	if err != nil {
		return "", err
	}
	return string(output), runErr
}

func TestParseBlocks(t *testing.T) {
	const text = "a\n```sh\nx 1\ny\n```\n\n```text\nout\n```\n```go\nz\n```\n```sh\nw\n```\nwords\n```text\nnot its output\n```\n"
	got := parseBlocks(text)
	if len(got) != 2 || got[0] != (block{2, "x 1\ny", "out"}) || got[1] != (block{13, "w", ""}) {
		t.Errorf("%+v", got)
	}
}

func TestShiftPorts(t *testing.T) {
	got := shiftPorts("curl http://127.0.0.1:8001/x8001; redis-cli -p 7002; port=9003; echo 80012", 1000)
	if want := "curl http://127.0.0.1:9001/x8001; redis-cli -p 8002; port=10003; echo 80012"; got != want {
		t.Errorf("%s", got)
	}
}

func TestMissingLine(t *testing.T) {
	const got = "first\nversion 17  here\nlast 3.5 ms\n"
	for want, missing := range map[string]bool{
		"version 2 here\nlast 1 ms": false,
		"...\nlast 9 ms":            false,
		"":                          false,
		"last 1 ms\nfirst":          true,
		"other":                     true,
	} {
		if line, is := missingLine(want, got); is != missing {
			t.Errorf("%q: %q, %v", want, line, is)
		}
	}
}
