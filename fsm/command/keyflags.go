package command

import "strings"

// keyUses says what commands do with their keys, in the words of Redis's key
// specifications; a command with two has its keys used in two ways. Those that
// are not listed change or read their keys as Flags say.
var keyUses = map[string][]string{
	"expire": {"RW update"}, "pexpire": {"RW update"}, "expireat": {"RW update"}, "pexpireat": {"RW update"},
	"persist": {"RW update"}, "setrange": {"RW update"}, "append": {"RW insert"},
	"del": {"RM delete"}, "unlink": {"RM delete"}, "getdel": {"RW access delete"},
	"rename": {"RW access delete", "OW update"}, "renamenx": {"RW access delete", "OW insert"},
	"copy": {"RO access", "OW update"},
	"set":  {"RW access update variable_flags"}, "setex": {"OW update"}, "psetex": {"OW update"}, "mset": {"OW update"},
	"setnx": {"OW insert"}, "msetnx": {"OW insert"},
	"exists": {"RO"}, "touch": {"RO"}, "type": {"RO"}, "strlen": {"RO"}, "watch": {"RO"},
	"object|encoding": {"RO"}, "object|freq": {"RO"}, "object|idletime": {"RO"}, "object|refcount": {"RO"}, "memory|usage": {"RO"},
}

// KeyUses returns the flags of each of sp's key specifications.
func (sp *Spec) KeyUses() [][]string {
	uses := keyUses[sp.Name]
	switch {
	case uses != nil:
	case sp.Flags.Has(Write):
		uses = []string{"RW access update"}
	default:
		uses = []string{"RO access"}
	}
	out := make([][]string, len(uses))
	for i, u := range uses {
		out[i] = strings.Fields(u)
	}
	return out
}

// KeyUse returns the flags of the key at place i among those of args. SET looks
// at the old value only when it is asked for it.
func (sp *Spec) KeyUse(args Args, i int) []string {
	if sp.Name == "set" {
		for _, a := range args[3:] {
			if isWord(a, "GET") {
				return []string{"RW", "access", "update"}
			}
		}
		return []string{"OW", "update"}
	}
	uses := sp.KeyUses()
	return uses[min(i, len(uses)-1)]
}
