package commandset

import (
	"strings"
	"testing"

	"github.com/lockstepkv/lockstep/fsm/command"
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

func TestSpecsAreSound(t *testing.T) {
	table := New()
	seen := map[string]bool{}
	var check func(sp *command.Spec)
	check = func(sp *command.Spec) {
		if seen[sp.Name] {
			t.Errorf("%s: twice", sp.Name)
		}
		seen[sp.Name] = true
		if sp.Name != strings.ToLower(sp.Name) || !strings.Contains(sp.Name, "|") && table.Lookup([]byte(sp.Name)) != sp {
			t.Errorf("%s: bad name", sp.Name)
		}
		if sp.Summary == "" || sp.Group == "" || sp.Since == "" || sp.Arity == 0 || len(sp.Categories()) == 0 {
			t.Errorf("%s: incomplete", sp.Name)
		}
		kinds := 0
		if sp.IsData() {
			kinds++
		}
		if sp.Flags.Has(command.Connection) {
			kinds++
		}
		if len(sp.Sub) > 0 && !sp.Flags.Has(command.Connection) {
			kinds++
		}
		if kinds != 1 {
			t.Errorf("%s: must be a data command, a connection command or a container", sp.Name)
		}
		if sp.Flags.Has(command.AllShards) && (sp.Merge == nil) == (sp.Cursor == nil) {
			t.Errorf("%s: needs either a merge or a cursor for several shards", sp.Name)
		}
		if sp.Split > 0 && (sp.Merge == nil || sp.KeyRange() != command.KeyRange{First: 1, Last: -1, Step: sp.Split}) {
			t.Errorf("%s: cannot be split", sp.Name)
		}
		if sp.Flags.Has(command.Write) && sp.Flags.Has(command.ReadOnly) {
			t.Errorf("%s: both write and readonly", sp.Name)
		}
		for _, sub := range sp.Sub {
			if !strings.HasPrefix(sub.Name, sp.Name+"|") {
				t.Errorf("%s: not named as a subcommand of %s", sub.Name, sp.Name)
			}
			check(sub)
		}
	}
	for _, sp := range table.Specs() {
		check(sp)
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
	sp, err := table.Check(commandtest.Line("CONFIG get x"))
	if err != nil || sp.Name != "config|get" {
		t.Errorf("Check(CONFIG GET) = %v, %v", sp, err)
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
		{"watch a b", "a b"},
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
		{"PING", resp.Err("ERR 'ping' does not run against a shard")},
		{"CONFIG GET x", resp.Err("ERR 'config|get' does not run against a shard")},
	} {
		if got := commandtest.Do(ctx, c.line); !commandtest.Same(got, c.want) {
			t.Errorf("%s = %s, want %s", c.line, commandtest.Show(got), commandtest.Show(c.want))
		}
	}
}
