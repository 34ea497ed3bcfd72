package commandset

import (
	"testing"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/fsm/command/commandtest"
)

// TestFrees: what is logged where disks are full.
func TestFrees(t *testing.T) {
	table := New()
	for l, want := range map[string]bool{
		"DEL k": true, "UNLINK a b": true, "GETDEL k": true, "DELIFEQ k v": true, "HDEL k f": true, "SREM k m": true, "LS.DEL k": true,
		"EXPIRE k 1": true, "PEXPIREAT k 1": true, "FLUSHALL": true, "FLUSHDB": true, "UNLOCK l t": true,
		"FENCED l 1 DEL k": true, "ONCE id DEL k": true, "ONCE id FENCED l 1 DEL k": true,
		"LS.TXN IF 0 THEN 2 2 DEL k 2 GET k ELSE 0": true,
		"SET k v": false, "PERSIST k": false, "RENAME a b": false, "SPOP k": false, "SMOVE a b m": false, "GETEX k": false, "APPEND k v": false, "LOCKRENEW l t 5": false,
		"FENCED l 1 SET k v": false, "ONCE id SET k v": false, "ONCE id FENCED l 1 SET k v": false,
		"LS.TXN IF 0 THEN 1 2 DEL k ELSE 1 3 SET k v": false,
		"NOPE": false, "DEL": false, "GET k": false,
	} {
		if got := table.Frees(commandtest.Line(l)); got != want {
			t.Errorf("%s frees: %v", l, got)
		}
	}
	var b command.Batch
	if !table.FreesAll(b.Parts, b.Body) {
		t.Error("an empty batch takes room")
	}
	b.AddMulti(nil, []command.Args{commandtest.Line("GET k"), commandtest.Line("DEL k")})
	b.Add(commandtest.Line("UNLINK k"))
	if !table.FreesAll(b.Parts, b.Body) {
		t.Error("a batch of deletions takes room")
	}
	b.Add(commandtest.Line("SET k v"))
	if table.FreesAll(b.Parts, b.Body) || table.FreesAll(nil, []byte{99}) {
		t.Error("what grows, or is no unit, frees")
	}
}
