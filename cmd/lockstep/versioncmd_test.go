package main

import (
	"os"
	"regexp"
	"slices"
	"testing"

	"github.com/lockstepkv/lockstep/api/rooms"
	"github.com/lockstepkv/lockstep/fsm/command"
)

// COMMAND DOCS tells since when there is a command. For Lockstep's own that is a version of
// Lockstep that was released, or this one.
func TestCommandsAreSinceAVersionThatExists(t *testing.T) {
	text, err := os.ReadFile("../../CHANGELOG.md")
	if err != nil {
		t.Fatal(err)
	}
	var versions []string
	for _, m := range regexp.MustCompile(`(?m)^## ([0-9]+\.[0-9]+\.[0-9]+)`).FindAllSubmatch(text, -1) {
		versions = append(versions, string(m[1]))
	}
	if len(versions) == 0 || versions[0] != version {
		t.Errorf("this is version %s; CHANGELOG.md has %v, the newest first", version, versions)
	}
	own := 0
	var check func(sp *command.Spec)
	check = func(sp *command.Spec) {
		if sp.Group == "lockstep" {
			own++
			if !slices.Contains(versions, sp.Since) {
				t.Errorf("%s is since %q, which is no version of Lockstep: %v", sp.Name, sp.Since, versions)
			}
		}
		for _, sub := range sp.Sub {
			check(sub)
		}
	}
	for _, sp := range rooms.Table().Specs() {
		check(sp)
	}
	if own < 10 {
		t.Errorf("only %d commands of Lockstep's own", own)
	}
}
