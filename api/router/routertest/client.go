package routertest

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/lockstepkv/lockstep/api/rooms"
	"github.com/lockstepkv/lockstep/api/router"
	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/resp"
)

// NewRouter returns a router over a fake cluster, and a session of it.
func NewRouter(t testing.TB, o Options, cfg router.Config) (*router.Router, *Node, *router.Session) {
	t.Helper()
	table := rooms.Table()
	node := New(table, o)
	r := Open(t, node, table, cfg)
	s := r.NewSession("127.0.0.1:1234", router.KindRESP)
	t.Cleanup(s.Close)
	return r, node, s
}

// Open returns a router with all rooms.
func Open(t testing.TB, node router.Node, table *command.Table, cfg router.Config) *router.Router {
	t.Helper()
	cfg.Rooms = rooms.All()
	r, err := router.New(node, table, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Cmd splits a line into a command.
func Cmd(line string) command.Args {
	var args command.Args
	for _, w := range strings.Fields(line) {
		args = append(args, []byte(strings.ReplaceAll(w, "''", "")))
	}
	return args
}

// Show writes a reply the way redis-cli does, on one line.
func Show(v resp.Value) string {
	switch v.Kind {
	case resp.KindNil:
		return "nil"
	case resp.KindNilArray:
		return "nilarray"
	case resp.KindInt, resp.KindBool:
		return fmt.Sprint(v.Int)
	case resp.KindError:
		return "-" + string(v.Str)
	case resp.KindSimple:
		return "+" + string(v.Str)
	case resp.KindBulk, resp.KindVerbatim:
		return string(v.Str)
	default:
		var parts []string
		for _, e := range v.Elems {
			parts = append(parts, Show(e))
		}
		return "[" + strings.Join(parts, " ") + "]"
	}
}

// Script runs lines of "command => reply" through one session.
func Script(t testing.TB, r *router.Router, s *router.Session, lines string) {
	t.Helper()
	for line := range strings.Lines(lines) {
		in, want, ok := strings.Cut(strings.Trim(line, "\t\n"), " => ")
		if !ok {
			continue
		}
		if got := Show(r.Do(context.Background(), s, Cmd(in))); got != want {
			t.Errorf("%s\n got %s\nwant %s", in, got, want)
		}
	}
}

// TokenOf checks that LOCK got the lock.
func TokenOf(t testing.TB, v resp.Value) string {
	t.Helper()
	if len(v.Elems) != 2 || len(v.Elems[0].Str) != 32 || v.Elems[1].Int <= 0 {
		t.Fatalf("LOCK answered %s, want a token and a fence", Show(v))
	}
	return string(v.Elems[0].Str)
}

// Eventually polls until ok. Its patience is for a machine that does much else.
func Eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	deadline := time.After(30 * time.Second)
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("never: %s", what)
		}
	}
}
