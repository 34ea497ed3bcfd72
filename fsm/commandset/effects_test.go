package commandset

import (
	"bytes"
	"testing"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/fsm/command/commandtest"
	"github.com/lockstepkv/lockstep/snapshot"
	"github.com/lockstepkv/lockstep/store"
)

// TestEffectsAreOnTheKeysOfACommand: what an append-only file gets from a command concerns
// the keys that its Spec says it changes, and no others.
func TestEffectsAreOnTheKeysOfACommand(t *testing.T) {
	table := New()
	ctx := commandtest.NewCtx(table)
	var recorder snapshot.Recorder
	opt := store.DefaultOptions()
	opt.OnChange = recorder.OnChange
	ctx.Store = store.New(opt)
	recorder.Start()
	gen := commandtest.NewGenerator(5)
	changed := map[string]int{}
	for range 20_000 {
		args := gen.Command()
		sp, err := table.Check(args)
		if err != nil {
			continue
		}
		table.Exec(ctx, args)
		for _, effect := range recorder.Take() {
			changed[sp.Name]++
			if len(effect) == 1 && sp.Flags.Has(command.Write|command.AllShards) {
				continue // all keys are gone
			}
			if len(effect) < 2 || !changes(t, sp, args, effect[1]) {
				t.Fatalf("%s has the effect %s", commandtest.Quote(args), commandtest.Quote(effect))
			}
		}
	}
	forEach(table, func(sp *command.Spec) {
		if sp.IsData() && sp.Flags.Has(command.Write) && !sp.Flags.Has(command.OnLocks) && sp.Group != "lockstep" && changed[sp.Name] == 0 {
			t.Errorf("%s changed nothing in all this", sp.Name)
		}
	})
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
