package mutants

import (
	"context"
	"errors"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A patch whose place has changed must be made anew with the place: a bug that is not
// there is found by nobody.
func TestBugsFitTheSources(t *testing.T) {
	bugs, err := Bugs()
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range bugs {
		overlay, err := b.overlay(context.Background(), "../..", t.TempDir())
		if err != nil {
			t.Error(err)
			continue
		}
		for _, file := range b.files {
			changed := filepath.Join(filepath.Dir(overlay), file)
			if _, err := parser.ParseFile(token.NewFileSet(), changed, nil, 0); err != nil {
				t.Errorf("%s: %v", b.Name, err)
			}
			before, _ := os.ReadFile(filepath.Join("../..", file))
			if after, err := os.ReadFile(changed); err != nil || string(after) == string(before) {
				t.Errorf("%s leaves %s as it was (%v)", b.Name, file, err)
			}
		}
	}
}

func TestBadPatchesAreRefused(t *testing.T) {
	const change = "--- a/x.go\n+++ b/x.go\n@@ -1 +1 @@\n-package x\n+package y\n"
	for name, text := range map[string]string{
		"no word":        "\n\n" + change,
		"no change":      "something is wrong\n",
		"outside":        "w\n\n" + strings.ReplaceAll(change, "b/x.go", "b/../x.go"),
		"not a source":   "w\n\n" + strings.ReplaceAll(change, "x.go", "go.mod"),
		"absolute place": "w\n\n" + strings.ReplaceAll(change, "b/x.go", "b//x.go"),
	} {
		if b, err := parseBug(name, []byte(text)); !errors.Is(err, errPatch) {
			t.Errorf("%s: %+v, %v", name, b, err)
		}
	}
	b, err := parseBug("fits not", []byte("w\n\n"+change))
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "x.go"), []byte("package z\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := b.overlay(context.Background(), root, t.TempDir()); !errors.Is(err, errPatch) {
		t.Errorf("a patch that does not fit: %v", err)
	}
}
