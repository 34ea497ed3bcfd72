package command

import (
	"github.com/lockstepkv/lockstep/resp"
	"github.com/lockstepkv/lockstep/store/keyslot"
)

// KeySpec says where keys of a command are: the index of the first, of the last
// (negative: from the end) and the step, as in COMMAND INFO; and what becomes of them.
type KeySpec struct {
	First, Last, Step int
	Use               KeyUse

	// Count, if not 0, is the index of a number of keys, which follow it one by one. First,
	// Last and Step are not used then, and the Spec has FindKeys: CountedKeys.
	Count int

	// UseOf, if not nil, tells what args do with the key where that varies (SET).
	UseOf func(args Args) KeyUse
}

// KeyRange is the one range that holds all keys of a command; zero without keys.
type KeyRange struct{ First, Last, Step int }

// KeyUse is what a command does with a key, by the words of Redis's key specifications.
type KeyUse uint16

const (
	RO            KeyUse = 1 << iota // looks at it
	RW                               // changes it, and what was there counts
	OW                               // puts something in its place
	RM                               // removes it
	Access                           // tells the client of its contents
	Insert                           // adds to it
	Update                           // changes its contents
	Delete                           // removes its contents
	VariableFlags                    // in some calls less than this
)

var keyUseNames = []string{"RO", "RW", "OW", "RM", "access", "insert", "update", "delete", "variable_flags"}

// Names returns the words of Redis.
func (u KeyUse) Names() []string {
	var names []string
	for i, name := range keyUseNames {
		if u&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return names
}

// OneKey is the place of the only key of most commands.
func OneKey(use KeyUse) []KeySpec { return []KeySpec{{First: 1, Last: 1, Step: 1, Use: use}} }

// AllKeys is a command that takes nothing but keys.
func AllKeys(use KeyUse) []KeySpec { return []KeySpec{{First: 1, Last: -1, Step: 1, Use: use}} }

// KeysAndValues is a command that takes keys, each with a value.
func KeysAndValues(use KeyUse) []KeySpec { return []KeySpec{{First: 1, Last: -1, Step: 2, Use: use}} }

// SecondKey is the place of the key of subcommands like OBJECT ENCODING key.
func SecondKey(use KeyUse) []KeySpec { return []KeySpec{{First: 2, Last: 2, Step: 1, Use: use}} }

// TwoKeys are keys that are used in different ways.
func TwoKeys(first, second KeyUse) []KeySpec {
	return []KeySpec{{First: 1, Last: 1, Step: 1, Use: first}, {First: 2, Last: 2, Step: 1, Use: second}}
}

// NumberOfKeys reads the number of keys at a place of args, which must have so many behind it
// and after more words.
func NumberOfKeys(args Args, at, after int) (int, error) {
	n, ok := ParseInt(args[at])
	switch {
	case !ok || n < 1:
		return 0, errNumberOfKeys
	case n > int64(len(args)-at-1-after):
		return 0, ErrSyntax
	}
	return int(n), nil
}

const errNumberOfKeys = resp.Error("ERR numkeys should be greater than 0")

// CountedKeys is FindKeys for keys behind their number, which is at a place of args, and those
// at other places before it.
func CountedKeys(at int, others ...int) func(args Args) ([][]byte, error) {
	return func(args Args) (keys [][]byte, err error) {
		n, err := NumberOfKeys(args, at, 0)
		if err != nil {
			return nil, err
		}
		counted := args[at+1 : at+1+n : at+1+n]
		if len(others) == 0 {
			return counted, nil
		}
		for _, i := range others {
			keys = append(keys, args[i])
		}
		return append(keys, counted...), nil
	}
}

// KeyRange returns the range that holds all keys of sp, but for those behind their number.
func (sp *Spec) KeyRange() (k KeyRange) {
	for i := range sp.Keys {
		switch spec := &sp.Keys[i]; {
		case spec.Count > 0:
		case k.First == 0:
			k = KeyRange{spec.First, spec.Last, spec.Step}
		default:
			k.Last = spec.Last
		}
	}
	return k
}

// HasKeys reports whether sp works on keys that its arguments name.
func (sp *Spec) HasKeys() bool { return len(sp.Keys) > 0 || sp.FindKeys != nil }

// KeysOf returns the keys among args, which passed Check. The result shares args.
func (sp *Spec) KeysOf(args Args) ([][]byte, error) {
	if sp.FindKeys != nil {
		return sp.FindKeys(args)
	}
	k := sp.KeyRange()
	if k.First <= 0 || k.First >= len(args) {
		return nil, nil
	}
	last := k.Last
	if last < 0 {
		last += len(args)
	}
	last = min(last, len(args)-1)
	if k.Step <= 1 || k.First == last {
		return args[k.First : max(last, k.First-1)+1], nil
	}
	keys := make([][]byte, 0, (last-k.First)/k.Step+1)
	for i := k.First; i <= last; i += k.Step {
		keys = append(keys, args[i])
	}
	return keys, nil
}

// Slots goes over the slots of the keys among args, which passed Check, in their order, until
// fn returns false. It does not allocate for commands with fixed key positions.
func (sp *Spec) Slots(args Args, fn func(slot uint16) bool) error {
	if sp.FindKeys != nil {
		keys, err := sp.FindKeys(args)
		for _, key := range keys {
			if !fn(keyslot.Of(key)) {
				break
			}
		}
		return err
	}
	k := sp.KeyRange()
	last := k.Last
	if last < 0 {
		last += len(args)
	}
	for i := k.First; k.First > 0 && i <= last && i < len(args); i += max(k.Step, 1) {
		if !fn(keyslot.Of(args[i])) {
			break
		}
	}
	return nil
}

// SlotOf returns the slot that what is remembered of args belongs to: that of their first key.
func (sp *Spec) SlotOf(args Args) uint16 {
	slot := uint16(keyslot.None)
	_ = sp.Slots(args, func(of uint16) bool {
		slot = of
		return false
	})
	return slot
}

// KeyUse returns what args do with the key at place i among theirs.
func (sp *Spec) KeyUse(args Args, i int) KeyUse {
	switch {
	case len(sp.Keys) > 0:
		k := sp.Keys[min(i, len(sp.Keys)-1)]
		if k.UseOf != nil {
			return k.UseOf(args)
		}
		return k.Use
	case sp.Flags.Has(Write):
		return RW | Access | Update
	}
	return RO | Access
}
