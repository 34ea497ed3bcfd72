package rooms

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/internal/prose"
)

var update = flag.Bool("update", false, "rewrite docs/commands.md from the command table")

// TestCommandsPage fails when docs/commands.md is not what the table says.
func TestCommandsPage(t *testing.T) {
	path := filepath.Join("..", "..", "docs", "commands.md")
	want := commandsPage(Table())
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s is out of date; run: go generate ./api/rooms", path)
	}
}

func commandsPage(table *command.Table) string {
	var b strings.Builder
	b.WriteString("# Commands\n\n" +
		"Generated from the command table (`api/rooms`); do not edit. Names, arguments, replies and error words are those\n" +
		"of Redis 7.2 unless the group is *Lockstep*. Any of them can be sent over the Redis protocol or by `POST /v1/commands`.\n\n" +
		"Kind: **write** goes through the log, **read** is answered from memory (linearizable unless asked otherwise),\n" +
		"**node** concerns the connection or the node and touches no key.\n")
	for _, g := range [][2]string{
		{"string", "Strings"}, {"hash", "Hashes"}, {"list", "Lists"}, {"set", "Sets"}, {"sorted-set", "Sorted sets"},
		{"bitmap", "Bitmaps"}, {"hyperloglog", "HyperLogLog"}, {"generic", "Keys"},
		{"transactions", "Transactions"}, {"connection", "Connection"},
		{"server", "Server"}, {"cluster", "Cluster"}, {"lockstep", "Lockstep"},
	} {
		fmt.Fprintf(&b, "\n## %s\n\n| command | kind | what it does | like Redis since |\n|---|---|---|---|\n", g[1])
		for _, sp := range table.Specs() {
			if sp.Group == g[0] {
				writeRows(&b, sp)
			}
		}
	}
	b.WriteString(notes)
	return prose.Wrap(b.String())
}

func writeRows(b *strings.Builder, sp *command.Spec) {
	if len(sp.Sub) == 0 || sp.Arity == -1 {
		since := sp.Since
		if sp.Group == "lockstep" {
			since = "-"
		}
		fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", usage(sp), kind(sp), cell(sp.Summary), since)
	}
	for _, sub := range sp.Sub {
		writeRows(b, sub)
	}
}

func usage(sp *command.Spec) string {
	s := strings.ToUpper(strings.ReplaceAll(sp.Name, "|", " "))
	if syntax := sp.Syntax(); syntax != "" {
		s += " " + cell(syntax)
	}
	return s
}

// cell escapes what would end a table cell.
func cell(s string) string { return strings.ReplaceAll(s, "|", "\\|") }

func kind(sp *command.Spec) string {
	switch {
	case !sp.IsData():
		return "node"
	case sp.Flags.Has(command.Write):
		return "write"
	}
	return "read"
}

const notes = `
## Where Lockstep differs

- Not built yet: streams, geo commands, ` + "`SORT`" + `, commands that wait (` + "`BLPOP`" + ` and its kind), expiry of hash fields, scripts and functions, pub/sub, users, databases other than 0. They are unknown commands.
- ` + "`SET ... IFEQ`, `DELIFEQ` and `HSCAN ... NOVALUES`" + ` are of later versions of Redis and Valkey.
- ` + "`OBJECT ENCODING`" + ` calls the result of ` + "`INCRBYFLOAT`" + ` int where it is a whole number (a Redis primary says embstr, its replicas int).
- ` + "`OBJECT REFCOUNT`" + ` of a copied small integer is that of a shared object.
- ` + "`MEMORY USAGE`" + ` answers the bytes that Lockstep accounts for, the same on every replica.
- ` + "`SCAN`" + ` walks in an order of its own, with the same guarantees; the cursor stays valid on every replica. One call looks at no more than 1048576 keys.
- A pattern of ` + "`KEYS` and `SCAN`" + ` has 65536 bytes at most, and one that takes very many steps on the keys is refused: several stars with long texts after them, on long keys.
- ` + "`PFCOUNT`" + ` is a read: it does not store its estimate in the key, as Redis does. One that Redis has stored counts.
- ` + "`DBSIZE`" + ` never counts a key whose time is up.
- ` + "`WATCH`" + ` compares versions, and survives a change of leader. A key that was absent, came and went again has changed, as in Redis; so has an absent key of which another key of the same slot was removed meanwhile.
- ` + "`CLUSTER`" + ` is refused with one shard, as by a Redis without cluster support, unless ` + "`--cluster-protocol on`" + `; ` + "`READONLY`" + ` is not.
- ` + "`MULTI`" + `: while memory is short, commands that need more are refused when they are queued; Redis refuses reads and DEL then, too.
- ` + "`CLIENT SETINFO`" + ` (of Redis 7.2, which newer clients send) is answered; ` + "`CLIENT LIST`" + ` has the fields of Redis 7.0 and no place for it.
- The texts of ` + "`HELP`" + ` subcommands are Lockstep's own.
- ` + "`ONCE`" + ` keeps the reply of the first run for the retention time of the cluster. The same id with another command answers
  ` + "`ONCEMISMATCH`" + `, an id whose reply was dropped ` + "`ONCEEXPIRED`" + `, a new one for which there is no memory ` + "`ONCEFULL`" + ` or, if
  this client's share is used up, ` + "`ONCESHARE`" + `; none of them runs anything. It takes commands that write to keys, and
  does not go into ` + "`MULTI`" + ` or into another ` + "`ONCE`" + `. A command that is refused before it runs (malformed, out of memory) does not use its id up.
- ` + "`LS.PUT`, `LS.DEL`" + ` answer the error ` + "`CONDITION ...`" + ` when NX, XX or IFVERSION does not hold. Version 0 stands for an absent key.
`
