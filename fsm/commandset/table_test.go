package commandset

import (
	"strings"
	"testing"

	"github.com/lockstepkv/lockstep/fsm/command/commandtest"
	"github.com/lockstepkv/lockstep/resp"
)

func TestLookupTakesAnyCase(t *testing.T) {
	table := New()
	for _, name := range []string{"get", "GET", "gEt", "LS.PUT", "IncrByFloat"} {
		if sp := table.Lookup([]byte(name)); sp == nil || sp.Name != strings.ToLower(name) {
			t.Errorf("Lookup(%q) = %v", name, sp)
		}
	}
	for _, name := range []string{"", "ge", "gett", strings.Repeat("x", 100)} {
		if sp := table.Lookup([]byte(name)); sp != nil {
			t.Errorf("Lookup(%q) = %v, want nil", name, sp.Name)
		}
	}
}

func TestCheckWords(t *testing.T) {
	table := New()
	for _, c := range []struct{ line, want string }{
		{"GET", "ERR wrong number of arguments for 'get' command"},
		{"nope", "ERR unknown command 'nope', with args beginning with: "},
		{"nope a b", "ERR unknown command 'nope', with args beginning with: 'a' 'b' "},
		{"OBJECT nope x", "ERR unknown subcommand 'nope'. Try OBJECT HELP."},
		{"object encoding", "ERR wrong number of arguments for 'object|encoding' command"},
		{"object", "ERR wrong number of arguments for 'object' command"},
	} {
		if _, err := table.Check(commandtest.Line(c.line)); err == nil || err.Error() != c.want {
			t.Errorf("Check(%q) = %v, want %q", c.line, err, c.want)
		}
	}
	if _, err := table.Check(nil); err == nil {
		t.Error("Check of nothing must fail")
	}
	sp, err := table.Check(commandtest.Line("OBJECT freq x"))
	if err != nil || sp.Name != "object|freq" {
		t.Errorf("Check(OBJECT FREQ) = %v, %v", sp, err)
	}
}

func TestKeysOf(t *testing.T) {
	table := New()
	for _, c := range []struct{ line, want string }{
		{"get a", "a"},
		{"mset a 1 b 2", "a b"},
		{"mset a 1 b", "a b"},
		{"del a b c", "a b c"},
		{"copy a b DB 0", "a b"},
		{"object encoding k", "k"},
		{"memory usage k", "k"},
		{"dbsize", ""},
		{"once id set k v", "k"},
		{"once id mset a 1 b 2", "a b"},
	} {
		args := commandtest.Line(c.line)
		sp, err := table.Check(args)
		if err != nil {
			t.Fatal(err)
		}
		keys, err := sp.KeysOf(args)
		if err != nil {
			t.Fatal(err)
		}
		var words []string
		for _, k := range keys {
			words = append(words, string(k))
		}
		if got := strings.Join(words, " "); got != c.want {
			t.Errorf("KeysOf(%q) = %q, want %q", c.line, got, c.want)
		}
	}
}

func TestExecBasics(t *testing.T) {
	ctx := commandtest.NewCtx(New())
	for _, c := range []struct {
		line string
		want resp.Value
	}{
		{"SET k v", resp.OK},
		{"GET k", resp.BulkString("v")},
		{"GET none", resp.Nil},
		{"INCR n", resp.One},
		{"INCRBY n 41", resp.Int(42)},
		{"MGET k none n", resp.Array(resp.BulkString("v"), resp.Nil, resp.BulkString("42"))},
		{"EXPIRE k 10", resp.One},
		{"PTTL k", resp.Int(10000)},
		{"PEXPIRETIME k", resp.Int(commandtest.Now + 10000)},
		{"DEL k none", resp.One},
	} {
		if got := commandtest.Do(ctx, c.line); !commandtest.Same(got, c.want) {
			t.Errorf("%s = %s, want %s", c.line, commandtest.Show(got), commandtest.Show(c.want))
		}
	}
}
