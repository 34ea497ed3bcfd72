package router_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/lockstepkv/lockstep/api/clientmem"
	"github.com/lockstepkv/lockstep/api/rooms"
	"github.com/lockstepkv/lockstep/api/router"
	"github.com/lockstepkv/lockstep/api/router/routertest"
	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/resp"
)

// newRouter returns a router over a fake cluster, and a session of it.
func newRouter(t testing.TB, o routertest.Options, cfg router.Config) (*router.Router, *routertest.Node, *router.Session) {
	t.Helper()
	return routertest.NewRouter(t, o, cfg)
}

// cmd splits a line into a command.
func cmd(line string) command.Args { return routertest.Cmd(line) }

// show writes a reply the way redis-cli does, on one line.
func show(v resp.Value) string { return routertest.Show(v) }

// script runs lines of "command => reply" through one session.
func script(t *testing.T, r *router.Router, s *router.Session, lines string) {
	t.Helper()
	routertest.Script(t, r, s, lines)
}

func TestSetAndGet(t *testing.T) {
	r, _, s := newRouter(t, routertest.Options{}, router.Config{})
	script(t, r, s, `
		SET k v => +OK
		get k => v
		GeT none => nil
		DEL k none => 1
		GET => -ERR wrong number of arguments for 'get' command
		NOPE a b => -ERR unknown command 'NOPE', with args beginning with: 'a' 'b' 
		CONFIG NOPE => -ERR unknown subcommand 'NOPE'. Try CONFIG HELP.
		CONFIG => -ERR wrong number of arguments for 'config' command
	`)
}

func TestPipelineIsCutIntoRuns(t *testing.T) {
	r, node, s := newRouter(t, routertest.Options{}, router.Config{})
	var cmds [][][]byte
	for _, l := range []string{"GET a", "GET b", "SET a 1", "GET a", "INCR a", "GET a", "GET b"} {
		cmds = append(cmds, cmd(l))
	}
	out := r.DoPipeline(context.Background(), s, cmds, nil)
	if got, want := show(resp.Array(out...)), "[nil nil +OK 1 2 2 nil]"; got != want {
		t.Fatalf("got %s, want %s", got, want)
	}
	sh := node.Shard(0)
	if sh.Reads.Load() != 2 || sh.Proposals.Load() != 1 || sh.Units.Load() != 3 {
		t.Fatalf("reads %d, proposals %d, units %d; want 2, 1, 3", sh.Reads.Load(), sh.Proposals.Load(), sh.Units.Load())
	}
}

func TestEveryCommandRuns(t *testing.T) {
	r, _, s := newRouter(t, routertest.Options{}, router.Config{})
	var walk func([]*command.Spec)
	walk = func(specs []*command.Spec) {
		for _, sp := range specs {
			if len(sp.Sub) > 0 {
				walk(sp.Sub)
				continue
			}
			args := cmd(strings.ReplaceAll(sp.Name, "|", " "))
			for len(args) < max(sp.Arity, -sp.Arity) {
				args = append(args, []byte("1"))
			}
			if sp.Name == "multi" {
				continue
			}
			v := r.Do(context.Background(), s, args)
			if strings.Contains(string(v.Str), "does not run") || strings.Contains(string(v.Str), "unknown command '"+sp.Name) {
				t.Errorf("%s: %s", sp.Name, v.Str)
			}
		}
	}
	walk(rooms.Table().Specs())
}

// TestWatchOfManyKeysIsNotQuadratic: a key that is watched already is not watched again.
func TestWatchOfManyKeysIsNotQuadratic(t *testing.T) {
	r, _, s := newRouter(t, routertest.Options{}, router.Config{RequestTimeout: time.Minute})
	args := cmd("WATCH")
	for i := range 100_000 {
		args = append(args, fmt.Appendf(nil, "key:%d", i))
	}
	started := time.Now()
	var held []int64
	for range 2 {
		if v := r.Do(context.Background(), s, args); v.IsError() {
			t.Fatalf("%s", v.Str)
		}
		held = append(held, s.Memory().Of(clientmem.Watch))
	}
	if took := time.Since(started); took > time.Minute { // hours if it were
		t.Errorf("took %v", took)
	}
	if held[0] == 0 || held[1] != held[0] {
		t.Errorf("keys that are watched already count again: %v", held)
	}
	script(t, r, s, `
		UNWATCH => +OK
		SET k 1 => +OK
		WATCH k k => +OK
		SET k 2 => +OK
		MULTI => +OK
		SET k 3 => +QUEUED
		EXEC => nilarray
		GET k => 2
	`)
}
