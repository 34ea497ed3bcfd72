package command

import "testing"

// TestFrees: what is logged where disks are full.
func TestFrees(t *testing.T) {
	table := NewTable()
	for l, want := range map[string]bool{
		"DEL k": true, "UNLINK a b": true, "GETDEL k": true, "DELIFEQ k v": true, "LS.DEL k": true,
		"EXPIRE k 1": true, "PEXPIREAT k 1": true, "FLUSHALL": true, "FLUSHDB": true, "UNLOCK l t": true,
		"FENCED l 1 DEL k": true, "ONCE id DEL k": true, "ONCE id FENCED l 1 DEL k": true,
		"LS.TXN IF 0 THEN 2 2 DEL k 2 GET k ELSE 0": true,
		"SET k v": false, "PERSIST k": false, "RENAME a b": false, "GETEX k": false, "APPEND k v": false, "LOCKRENEW l t 5": false,
		"FENCED l 1 SET k v": false, "ONCE id SET k v": false, "ONCE id FENCED l 1 SET k v": false,
		"LS.TXN IF 0 THEN 1 2 DEL k ELSE 1 3 SET k v": false,
		"NOPE": false, "DEL": false, "GET k": false,
	} {
		if got := table.Frees(line(l)); got != want {
			t.Errorf("%s frees: %v", l, got)
		}
	}
	var b Batch
	if !table.FreesAll(b.Parts, b.Body) {
		t.Error("an empty batch takes room")
	}
	b.AddMulti(nil, []Args{line("GET k"), line("DEL k")})
	b.Add(line("UNLINK k"))
	if !table.FreesAll(b.Parts, b.Body) {
		t.Error("a batch of deletions takes room")
	}
	b.Add(line("SET k v"))
	if table.FreesAll(b.Parts, b.Body) || table.FreesAll(nil, []byte{99}) {
		t.Error("what grows, or is no unit, frees")
	}
}
