package command

import (
	"strings"
	"testing"

	"github.com/lockstepkv/lockstep/resp"
	"github.com/lockstepkv/lockstep/store"
)

// line splits a command at spaces; ” stands for an empty argument.
func line(s string) Args {
	var args Args
	for _, w := range strings.Fields(s) {
		if w == "''" {
			w = ""
		}
		args = append(args, []byte(w))
	}
	return args
}

const testNow = 1_700_000_000_000

// newCtx is a context as in the log, at testNow.
func newCtx() *Ctx {
	return &Ctx{
		Table: NewTable(), Store: store.New(store.DefaultOptions()),
		Now: testNow, Wall: testNow, Mono: testNow, MonoAhead: testNow, InLog: true, Seed: 1, Once: onceMap{},
	}
}

func do(ctx *Ctx, s string) resp.Value { return ctx.Table.Exec(ctx, line(s)) }

type onceMap map[string]onceRecord

type onceRecord struct {
	reply     resp.Value
	print     uint64
	forgotten bool
}

func (m onceMap) Begin(id, _ []byte) (resp.Value, uint64, OnceState) {
	switch r, ok := m[string(id)]; {
	case !ok:
		return resp.Value{}, 0, OnceNew
	case r.forgotten:
		return resp.Value{}, 0, OnceForgotten
	default:
		return r.reply, r.print, OnceDone
	}
}

func (m onceMap) Forget(id []byte) { delete(m, string(id)) }

func (m onceMap) Room(_, _ []byte, _ int) OnceState { return OnceNew }

func (m onceMap) Finish(id, _ []byte, _ int64, print uint64, reply resp.Value) {
	m[string(id)] = onceRecord{reply: reply, print: print}
}

func TestLookupTakesAnyCase(t *testing.T) {
	table := NewTable()
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
	table := NewTable()
	seen := map[string]bool{}
	var check func(sp *Spec)
	check = func(sp *Spec) {
		if seen[sp.Name] {
			t.Errorf("%s: twice", sp.Name)
		}
		seen[sp.Name] = true
		if sp.Name != strings.ToLower(sp.Name) || len(sp.Name) > maxNameLen {
			t.Errorf("%s: bad name", sp.Name)
		}
		if sp.Summary == "" || sp.Group == "" || sp.Since == "" || sp.Arity == 0 || len(sp.ACL) == 0 {
			t.Errorf("%s: incomplete", sp.Name)
		}
		kinds := 0
		if sp.IsData() {
			kinds++
		}
		if sp.Flags.Has(Connection) {
			kinds++
		}
		if len(sp.Sub) > 0 && !sp.Flags.Has(Connection) {
			kinds++
		}
		if kinds != 1 {
			t.Errorf("%s: must be a data command, a connection command or a container", sp.Name)
		}
		if sp.Flags.Has(Write) && sp.Flags.Has(ReadOnly) {
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
	table := NewTable()
	for _, c := range []struct{ line, want string }{
		{"GET", "ERR wrong number of arguments for 'get' command"},
		{"nope", "ERR unknown command 'nope', with args beginning with: "},
		{"nope a b", "ERR unknown command 'nope', with args beginning with: 'a' 'b' "},
		{"OBJECT nope x", "ERR unknown subcommand 'nope'. Try OBJECT HELP."},
		{"object encoding", "ERR wrong number of arguments for 'object|encoding' command"},
		{"object", "ERR wrong number of arguments for 'object' command"},
	} {
		if _, err := table.Check(line(c.line)); err == nil || err.Error() != c.want {
			t.Errorf("Check(%q) = %v, want %q", c.line, err, c.want)
		}
	}
	if _, err := table.Check(nil); err == nil {
		t.Error("Check of nothing must fail")
	}
	sp, err := table.Check(line("CONFIG get x"))
	if err != nil || sp.Name != "config|get" {
		t.Errorf("Check(CONFIG GET) = %v, %v", sp, err)
	}
}

func TestKeysOf(t *testing.T) {
	table := NewTable()
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
		args := line(c.line)
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
	ctx := newCtx()
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
		{"PEXPIRETIME k", resp.Int(testNow + 10000)},
		{"DEL k none", resp.One},
		{"PING", resp.Err("ERR 'ping' does not run against a shard")},
		{"CONFIG GET x", resp.Err("ERR 'config|get' does not run against a shard")},
	} {
		if got := do(ctx, c.line); !same(got, c.want) {
			t.Errorf("%s = %s, want %s", c.line, show(got), show(c.want))
		}
	}
}

// same compares replies by what RESP2 makes of them.
func same(a, b resp.Value) bool { return show(a) == show(b) }

func show(v resp.Value) string { return string(resp.Append(nil, v, 2)) }
