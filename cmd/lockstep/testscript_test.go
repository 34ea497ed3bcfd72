package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// aptGet runs scripts/test's apt_get with an apt-get that fails the first two times, and says why.
func aptGet(t *testing.T, why string) (out string, tries int, err error) {
	t.Helper()
	dir := t.TempDir()
	fake := "#!/bin/sh\necho \"$@\" >>\"$0.calls\"\n[ \"$(wc -l <\"$0.calls\")\" -gt 2 ] && exit 0\necho '" + why + "' >&2\nexit 100\n"
	if err := os.WriteFile(filepath.Join(dir, "apt-get"), []byte(fake), 0o700); err != nil {
		t.Fatal(err)
	}
	script := `set -euo pipefail
fail() { echo "failed: $*" >&2; exit 1; }
apt_pause=0
eval "$(sed -n '/^apt_get() {/,/^}/p' ../../scripts/test)"
apt_get update -q`
	cmd := exec.Command("bash", "-c", script)
	cmd.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"))
	text, err := cmd.CombinedOutput()
	calls, _ := os.ReadFile(filepath.Join(dir, "apt-get.calls"))
	return string(text), strings.Count(string(calls), "update -q\n"), err
}

func TestScriptWaitsForThePackageManager(t *testing.T) {
	out, tries, err := aptGet(t, "E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 7")
	if err != nil || tries != 3 || !strings.Contains(out, "waiting for the package manager") {
		t.Errorf("%v after %d tries: %s", err, tries, out)
	}
	if out, tries, err := aptGet(t, "E: Unable to locate package x"); err == nil || tries != 1 {
		t.Errorf("another failure: %v after %d tries: %s", err, tries, out)
	}
}

// Whoever runs all tests learns at once how long that takes.
func TestScriptTellsHowLongItTakes(t *testing.T) {
	script, err := os.ReadFile("../../scripts/test")
	if err != nil {
		t.Fatal(err)
	}
	told, installs := strings.Index(string(script), "minutes on two processors"), strings.Index(string(script), "\ninstall_missing\n")
	if told < 0 || told > installs {
		t.Error("scripts/test does not say at its beginning how long it takes")
	}
}
