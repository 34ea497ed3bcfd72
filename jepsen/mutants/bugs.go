package mutants

import (
	"bytes"
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
)

//go:embed bugs/*.patch
var patches embed.FS

// Bug is one deliberate bug: a patch of the sources, headed by a line that says what is
// wrong.
type Bug struct {
	Name  string
	Wrong string // in one line
	patch []byte
	files []string // that the patch changes or adds, relative to the root
}

var (
	errPatch = errors.New("not a mutant")

	// ErrUnknown is returned for a name that has no bug.
	ErrUnknown = errors.New("no such mutant")
)

// Bugs lists the bugs by name.
func Bugs() ([]Bug, error) {
	entries, err := patches.ReadDir("bugs")
	if err != nil {
		return nil, err
	}
	var list []Bug
	for _, e := range entries {
		b, err := findBug(strings.TrimSuffix(e.Name(), ".patch"))
		if err != nil {
			return nil, err
		}
		list = append(list, b)
	}
	return list, nil
}

func findBug(name string) (Bug, error) {
	text, err := patches.ReadFile("bugs/" + name + ".patch")
	if err != nil {
		return Bug{}, fmt.Errorf("%w: %s", ErrUnknown, name)
	}
	return parseBug(name, text)
}

func parseBug(name string, text []byte) (Bug, error) {
	wrong, _, _ := strings.Cut(string(text), "\n")
	b := Bug{Name: name, Wrong: wrong, patch: text}
	for line := range strings.Lines(string(text)) {
		file, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "+++ b/")
		if !ok {
			continue
		}
		if !filepath.IsLocal(file) || path.Ext(file) != ".go" {
			return Bug{}, fmt.Errorf("%w: %s changes %s", errPatch, name, file)
		}
		b.files = append(b.files, file)
	}
	if wrong == "" || len(b.files) == 0 {
		return Bug{}, fmt.Errorf("%w: %s has no line that says what is wrong, or changes nothing", errPatch, name)
	}
	return b, nil
}

// overlay applies the bug to copies of root's files below dir, and returns the path of a
// file for the go command's option -overlay. The sources stay as they are.
func (b Bug) overlay(ctx context.Context, root, dir string) (string, error) {
	root, err := filepath.Abs(root)
	if err != nil {
		return "", err
	}
	if dir, err = filepath.Abs(filepath.Join(dir, "bug-"+b.Name)); err != nil {
		return "", err
	}
	if err := os.RemoveAll(dir); err != nil {
		return "", err
	}
	replace := map[string]string{}
	for _, file := range b.files {
		copied := filepath.Join(dir, filepath.FromSlash(file))
		replace[filepath.Join(root, filepath.FromSlash(file))] = copied
		if err := os.MkdirAll(filepath.Dir(copied), 0o755); err != nil {
			return "", err
		}
		text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(file)))
		if errors.Is(err, os.ErrNotExist) {
			continue // the bug adds it
		}
		if err != nil {
			return "", err
		}
		if err := os.WriteFile(copied, text, 0o644); err != nil {
			return "", err
		}
	}
	if err := b.apply(ctx, dir); err != nil {
		return "", err
	}
	text, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	file := filepath.Join(dir, "overlay.json")
	return file, os.WriteFile(file, text, 0o644)
}

// apply changes the files below dir.
func (b Bug) apply(ctx context.Context, dir string) error {
	cmd := exec.CommandContext(ctx, "git", "apply", "-")
	cmd.Dir, cmd.Stdin = dir, bytes.NewReader(b.patch)
	// In a repository, git would leave out what lies outside of dir.
	cmd.Env = append(os.Environ(), "GIT_CEILING_DIRECTORIES="+filepath.Dir(dir), "GIT_DIR=")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s does not fit the sources any more: %w\n%s", errPatch, b.Name, err, out)
	}
	return nil
}
