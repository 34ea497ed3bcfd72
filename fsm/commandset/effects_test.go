package commandset

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/fsm/command/commandtest"
	"github.com/lockstepkv/lockstep/snapshot/aof"
	"github.com/lockstepkv/lockstep/snapshot/rdbtest"
	"github.com/lockstepkv/lockstep/store/effect"
)

// TestEffectsAreOnTheKeysOfACommand: what an append-only file gets from a command concerns
// the keys that its Spec says it changes, and no others.
func TestEffectsAreOnTheKeysOfACommand(t *testing.T) {
	table := New()
	ctx := commandtest.NewCtx(table)
	ctx.Effects = new(effect.Log)
	gen := commandtest.NewGenerator(5)
	changed := map[string]int{}
	idle := func() (names []string) { // what has changed nothing yet
		commandtest.ForEach(table, func(sp *command.Spec) {
			if sp.IsData() && sp.Flags.Has(command.Write) && !sp.Flags.Has(command.OnLocks) && sp.Group != "lockstep" && changed[sp.Name] == 0 {
				names = append(names, sp.Name)
			}
		})
		return names
	}
	for i := 0; i < 20_000 || i < 400_000 && (i%1000 != 0 || len(idle()) > 0); i++ {
		args := gen.Command()
		sp, err := table.Check(args)
		if err != nil {
			continue
		}
		table.Exec(ctx, args)
		for _, is := range ctx.Effects.Take() {
			changed[sp.Name]++
			if is.Kind == effect.Flush && sp.Flags.Has(command.Write|command.AllShards) {
				continue // all keys are gone
			}
			if is.Kind == effect.Flush || !changes(t, sp, args, []byte(is.Key)) {
				t.Fatalf("%s has the effect %+v", commandtest.Quote(args), is)
			}
		}
	}
	if names := idle(); len(names) > 0 {
		t.Errorf("%v changed nothing in all this", names)
	}
}

// changes reports whether args may change key.
func changes(t *testing.T, sp *command.Spec, args command.Args, key []byte) bool {
	keys, err := sp.KeysOf(args)
	if err != nil {
		t.Fatal(err)
	}
	for i, k := range keys {
		if bytes.Equal(k, key) && sp.KeyUse(args, i)&(command.RW|command.OW|command.RM) != 0 {
			return true
		}
	}
	return false
}

// TestEffectsFollowCommands: after every command its effects, as they go into an append-only
// file, have brought a copy to where the store is, and nothing is said where nothing changed.
func TestEffectsFollowCommands(t *testing.T) {
	for seed := range uint64(4) {
		ctx := commandtest.NewCtx(New())
		ctx.Effects = new(effect.Log)
		gen := commandtest.NewGenerator(seed)
		copied := map[string]rdbtest.Key{}
		for range 3000 {
			args := gen.Command()
			if gen.Chance(20) { // within a transaction that fails
				args = slices.Concat(commandtest.Line(fmt.Sprintf("LS.TXN IF 0 THEN 2 %d", len(args))), args,
					commandtest.Line("5 LS.PUT nobody v IFVERSION 123456789 ELSE 0"))
			}
			before := ctx.Store.Revision()
			ctx.Table.Exec(ctx, args)
			cmds := aof.Commands(ctx.Effects.Take())
			if len(cmds) > 0 && ctx.Store.Revision() == before {
				t.Fatalf("%s changed nothing, and has the effect %s", commandtest.Quote(args), cmds)
			}
			rdbtest.Replay(t, copied, cmds)
			rdbtest.SameContents(t, copied, rdbtest.StoreContents(ctx.Store))
			if t.Failed() {
				t.Fatalf("seed %d: %s has the effect %s", seed, commandtest.Quote(args), cmds)
			}
		}
	}
}

// TestEffectOfATransaction: one that is taken back has none, one that is kept has them all.
func TestEffectOfATransaction(t *testing.T) {
	ctx := commandtest.NewCtx(New())
	ctx.Effects = new(effect.Log)
	commandtest.Do(ctx, "SET a old")
	ctx.Effects.Take()
	for _, c := range []struct{ command, want string }{
		{"LS.TXN IF 0 THEN 2 3 SET a new 2 INCR a ELSE 0", ""},
		{"LS.TXN IF 0 THEN 2 3 SET a 1 2 INCR b ELSE 0", "SET a 1|SET b 1"},
		{"ONCE id SET a 3 PX 1000", "SET a 3 PXAT " + fmt.Sprint(commandtest.Now+1000)},
		{"ONCE id SET a 3 PX 1000", ""},
		{"GETEX a PERSIST", "SET a 3"},
		{"GETEX a EXAT 1", "DEL a"},
		{"INCRBYFLOAT f 1.5", "SET f 1.5"},
		{"SET f 2 KEEPTTL GET", "SET f 2"},
		{"SETNX f 3", ""},
		{"RENAME f g", "DEL f|SET g 2"},
		{"GETDEL g", "DEL g"},
	} {
		reply := commandtest.Do(ctx, c.command)
		var got []string
		for _, cmd := range aof.Commands(ctx.Effects.Take()) {
			got = append(got, string(bytes.Join(cmd, []byte(" "))))
		}
		if strings.Join(got, "|") != c.want {
			t.Errorf("%s: %q, want %q (it answers %s)", c.command, got, c.want, commandtest.Show(reply))
		}
	}
}

// TestCommandsChangeTheStoreThroughCtx: a change that a command makes behind its back would
// have no effect in the append-only file.
func TestCommandsChangeTheStoreThroughCtx(t *testing.T) {
	change := regexp.MustCompile(`\.Store\.(Put|PutCollection|Update[A-Z]\w*|Overwrite|Append|SetExpireAt|Rename|Copy|Delete|Clear|Restore|Evict|Reap|Begin|Commit|Rollback)\(`)
	err := filepath.WalkDir("../command", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || path == "../command/change.go" {
			return err
		}
		source, err := os.ReadFile(path)
		if found := change.Find(source); found != nil {
			t.Errorf("%s has %s; package command has it in change.go", path, found)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
