package main

import (
	"errors"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestScriptKnowsTheSources: scripts/cluster builds this program again when one of the files that
// it is made of is newer.
func TestScriptKnowsTheSources(t *testing.T) {
	script, err := os.ReadFile("../../scripts/cluster")
	if err != nil {
		t.Fatal(err)
	}
	list := regexp.MustCompile(`(?m)^sources=\((.*)\)$`).FindSubmatch(script)
	if list == nil {
		t.Fatal("scripts/cluster has no sources=(...)")
	}
	out, err := exec.Command("go", "list", "-deps", "-f", "{{if .Module}}{{.Module.Path}} {{.ImportPath}}{{end}}", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"go.mod"}
	for line := range strings.Lines(string(out)) {
		module, path, _ := strings.Cut(strings.TrimSpace(line), " ")
		if rest, ours := strings.CutPrefix(path, module+"/"); ours && strings.HasSuffix(module, "/lockstep") {
			want = append(want, rest)
		}
	}
	got := strings.Fields(string(list[1]))
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("scripts/cluster has %q, and this program is made of %q", got, want)
	}
}

func TestParseUp(t *testing.T) {
	t.Setenv("LOCKSTEP_BASE_PORT_OFFSET", "")
	for _, c := range []struct {
		args string
		want upOptions
		bad  string
	}{
		{args: "", want: upOptions{nodes: -1, shards: -1, offset: -1}},
		{args: "--nodes 5 --shards=4 --fresh --base-port-offset 010", want: upOptions{nodes: 5, shards: 4, offset: 10, fresh: true}},
		{args: "-- --nodes 9 --", want: upOptions{nodes: -1, shards: -1, offset: -1, flagsGiven: true, flags: []string{"--nodes", "9", "--"}}},
		{args: "--", want: upOptions{nodes: -1, shards: -1, offset: -1, flagsGiven: true}},
		{args: "--nodes", bad: "--nodes needs a value"},
		{args: "--nodes 10", bad: `--nodes must be a number from 1 to 9, not "10"`},
		{args: "--nodes +3", bad: `--nodes must be a number from 1 to 9, not "+3"`},
		{args: "--shards 0000001", bad: `--shards must be a number from 1 to 256, not "0000001"`},
		{args: "--base-port-offset=-1", bad: `--base-port-offset must be a number from 0 to 56000, not "-1"`},
		{args: "--fresh=1", bad: `up: unknown argument "--fresh=1"`},
		{args: "3", bad: `up: unknown argument "3"`},
	} {
		got, err := parseUp(strings.Fields(c.args))
		var usage usageError
		switch {
		case c.bad != "":
			if !errors.As(err, &usage) || usage.text != c.bad {
				t.Errorf("%q: %v, want %q", c.args, err, c.bad)
			}
		case err != nil || got.nodes != c.want.nodes || got.shards != c.want.shards || got.offset != c.want.offset ||
			got.fresh != c.want.fresh || got.flagsGiven != c.want.flagsGiven || !slices.Equal(got.flags, c.want.flags):
			t.Errorf("%q: %+v, %v", c.args, got, err)
		}
	}
	t.Setenv("LOCKSTEP_BASE_PORT_OFFSET", "7")
	if got, err := parseUp(nil); got.offset != 7 || err != nil {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestChosenNodes(t *testing.T) {
	c := &cluster{nodes: 3}
	for args, want := range map[string]string{"1": "1", "n3 2 n2 02": "2 3", "all 2": "1 2 3", "0": "", "4": "", "n": "", "nn1": "", "": ""} {
		list, err := c.chosen(strings.Fields(args))
		var words []string
		for _, n := range list {
			words = append(words, c.node(n).ID[1:])
		}
		if got := strings.Join(words, " "); got != want || (err != nil) != (want == "") {
			t.Errorf("%q: %q, %v", args, got, err)
		}
	}
}

// The password of the nodes' flags is for the commands that ask the nodes.
func TestPasswordOfTheFlags(t *testing.T) {
	for _, c := range []struct {
		flags, password, file string
	}{
		{"--requirepass secret", "secret", ""},
		{"--maxclients 7 --requirepass=se=cret", "se=cret", ""},
		{"--requirepass-file /f", "", "/f"},
		{"--requirepass", "", ""},
		{"", "of the environment", ""},
	} {
		t.Setenv("LOCKSTEP_REQUIREPASS", map[bool]string{true: "of the environment"}[c.flags == ""])
		t.Setenv("LOCKSTEP_PASSWORD", "")
		t.Setenv("LOCKSTEP_PASSWORD_FILE", "")
		if err := (&cluster{flags: strings.Fields(c.flags)}).findPassword(); err != nil {
			t.Fatal(err)
		}
		if password, file := os.Getenv("LOCKSTEP_PASSWORD"), os.Getenv("LOCKSTEP_PASSWORD_FILE"); password != c.password || file != c.file {
			t.Errorf("%q: password %q, file %q", c.flags, password, file)
		}
	}
}
