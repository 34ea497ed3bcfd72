package rooms

import (
	"strings"
	"testing"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/fsm/command/commandtest"
	"github.com/lockstepkv/lockstep/resp"
)

func TestSpecsAreSound(t *testing.T) {
	table := Table()
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

// TestNodeCommandsDoNotRunAgainstAShard: a state machine knows them, and says that they are not
// for it, also within another.
func TestNodeCommandsDoNotRunAgainstAShard(t *testing.T) {
	ctx := commandtest.NewCtx(Table())
	for _, c := range []struct{ line, want string }{
		{"PING", "ERR 'ping' does not run against a shard"},
		{"CONFIG GET x", "ERR 'config|get' does not run against a shard"},
		{"ONCE c MULTI", "ERR ONCE takes a command that writes to keys"},
		{"ONCE c CONFIG SET a b", "ERR ONCE takes a command that writes to keys"},
		{"FENCED l 1 PING", "ERR FENCED takes a command on keys"},
		{"LS.TXN IF 0 THEN 1 1 PING ELSE 0", "ERR command 1 of THEN: a transaction takes commands on keys"},
	} {
		if got := commandtest.Do(ctx, c.line); !commandtest.Same(got, resp.Err(c.want)) {
			t.Errorf("%s = %s, want %s", c.line, commandtest.Show(got), c.want)
		}
	}
}

func TestUnitsTakeDataCommandsOnly(t *testing.T) {
	ctx := commandtest.NewCtx(Table())
	var cmds []command.Args
	for _, l := range []string{"SET k v", "ONCE a SET k w", "PING", "MULTI", "NOPE", "GET", "CONFIG GET x", "GET k"} {
		cmds = append(cmds, commandtest.Line(l))
	}
	got := ctx.Table.RunUnit(ctx, &command.Unit{Multi: true, Cmds: cmds})
	want := resp.Array(
		resp.OK,
		resp.Err("ERR Command not allowed inside a transaction"),
		resp.Err("ERR 'ping' does not run against a shard"),
		resp.Err("ERR 'multi' does not run against a shard"),
		resp.Err("ERR unknown command 'NOPE', with args beginning with: "),
		resp.Err("ERR wrong number of arguments for 'get' command"),
		resp.Err("ERR 'config|get' does not run against a shard"),
		resp.BulkString("v"),
	)
	if !commandtest.Same(got, want) {
		t.Errorf("got %q\nwant %q", commandtest.Show(got), commandtest.Show(want))
	}
	for _, u := range []*command.Unit{{}, {Cmds: []command.Args{{}}}, {Multi: true, Cmds: []command.Args{{}}}} {
		ctx.Table.RunUnit(ctx, u) // must not panic
	}
}
