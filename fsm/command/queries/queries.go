package queries

import (
	"math"
	"strconv"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/fsm/lock"
	"github.com/lockstepkv/lockstep/resp"
	"github.com/lockstepkv/lockstep/store/keyslot"
)

// Commands lists them. No client can send them.
func Commands(t *command.Table) []*command.Spec {
	return []*command.Spec{specVersions, specSlotCount, specSlotKeys, specPlace, specFigures, recallSpec(t)}
}

// Names of the commands.
const (
	nameVersions  = "ls.versions"
	nameSlotCount = "ls.slotcount"
	nameSlotKeys  = "ls.slotkeys"
	namePlace     = "ls.place"
	nameFigures   = "ls.figures"
	nameRecall    = "ls.recall"
)

const reads = command.ReadOnly | command.Internal | command.NoMulti

const (
	errSlot  = resp.Error("ERR Invalid slot or number of keys")
	errShape = resp.Error("ERR the answer of another node makes no sense")
)

// args puts a command together.
func args(name string, words ...[]byte) command.Args {
	return append(command.Args{[]byte(name)}, words...)
}

func ask(name string, words ...[]byte) *command.Single {
	return &command.Single{Args: args(name, words...)}
}

// Versions asks for what WATCH remembers of keys.
func Versions(keys command.Args) *command.Single { return ask(nameVersions, keys...) }

// VersionsIn reads the answer to Versions: as many as there were keys.
func VersionsIn(v resp.Value, keys int) ([]uint64, error) {
	if v.IsError() {
		return nil, resp.Error(v.Str)
	}
	if len(v.Elems) != keys {
		return nil, errShape
	}
	list := make([]uint64, keys)
	for i := range list {
		list[i] = uint64(v.Elems[i].Int)
	}
	return list, nil
}

var specVersions = &command.Spec{
	Name: nameVersions, Group: "lockstep", Arity: -2, Since: "0.1.0", Flags: reads, Keys: command.AllKeys(command.RO),
	Summary: "Answers what WATCH remembers of keys.",
	Args:    []command.Arg{command.Many(command.Key("key"))},
	Parse:   func(args command.Args) (command.Op, error) { return versionsOp(args[1:]), nil },
}

type versionsOp [][]byte

func (op versionsOp) Run(ctx *command.Ctx) resp.Value {
	list := make([]resp.Value, len(op))
	for i, key := range op {
		list[i] = resp.Int(int64(ctx.WatchVersion(key))) // all 64 bits
	}
	return resp.Array(list...)
}

// SlotCount asks for the number of keys in a slot.
func SlotCount(slot uint16) *command.Single { return ask(nameSlotCount, number(int(slot))) }

// SlotKeys asks for some keys in a slot.
func SlotKeys(slot uint16, most int) *command.Single {
	return ask(nameSlotKeys, number(int(slot)), number(most))
}

func number(n int) []byte { return strconv.AppendInt(nil, int64(n), 10) }

var specSlotCount = &command.Spec{
	Name: nameSlotCount, Group: "lockstep", Arity: 2, Since: "0.1.0", Flags: reads,
	Summary: "Answers the number of keys in a slot.",
	Args:    []command.Arg{command.Integer("slot")},
	Parse: func(args command.Args) (command.Op, error) {
		slot, err := slotArg(args[1])
		return slotCountOp{slot}, err
	},
}

var specSlotKeys = &command.Spec{
	Name: nameSlotKeys, Group: "lockstep", Arity: 3, Since: "0.1.0", Flags: reads,
	Summary: "Answers some keys in a slot.",
	Args:    []command.Arg{command.Integer("slot"), command.Integer("count")},
	Parse: func(args command.Args) (command.Op, error) {
		slot, err := slotArg(args[1])
		if err != nil {
			return nil, err
		}
		most, err := command.IntArg(args[2])
		if err != nil || most < 0 || most > math.MaxInt32 {
			return nil, errSlot
		}
		return slotKeysOp{slot, int(most)}, nil
	},
}

func slotArg(word []byte) (uint16, error) {
	n, err := command.IntArg(word)
	if err != nil || n < 0 || n >= keyslot.Count {
		return 0, errSlot
	}
	return uint16(n), nil
}

type slotCountOp struct{ slot uint16 }

func (op slotCountOp) Run(ctx *command.Ctx) resp.Value {
	if v, no := ctx.SlotElsewhere(op.slot); no {
		return v
	}
	return resp.Int(int64(ctx.Store.CountInSlot(op.slot)))
}

type slotKeysOp struct {
	slot uint16
	most int
}

func (op slotKeysOp) Run(ctx *command.Ctx) resp.Value {
	if v, no := ctx.SlotElsewhere(op.slot); no {
		return v
	}
	var keys []resp.Value
	for _, e := range ctx.Store.KeysInSlot(op.slot, op.most) {
		keys = append(keys, resp.BulkString(e.Key()))
	}
	return resp.Array(keys...)
}

// Place asks where a request for a lock stands.
func Place(name, token string) *command.Single { return ask(namePlace, []byte(name), []byte(token)) }

// PlaceIn reads the answer to Place.
func PlaceIn(v resp.Value) (lock.Status, lock.Grant, error) {
	switch {
	case v.IsError():
		return 0, lock.Grant{}, resp.Error(v.Str)
	case len(v.Elems) != 3:
		return 0, lock.Grant{}, errShape
	}
	return lock.Status(v.Elems[0].Int), lock.Grant{Fence: uint64(v.Elems[1].Int), ExpiresAt: v.Elems[2].Int}, nil
}

var specPlace = &command.Spec{
	Name: namePlace, Group: "lockstep", Arity: 3, Since: "0.1.0", Flags: reads | command.OnLocks | command.SkipSlowlog,
	Keys:    command.OneKey(command.RO),
	Summary: "Answers where a request for a lock stands: whether it holds the lock, with its fence, or waits.",
	Args:    []command.Arg{command.Key("name"), command.String("token")},
	Parse: func(args command.Args) (command.Op, error) {
		return placeOp{string(args[1]), string(args[2])}, nil
	},
}

type placeOp struct{ name, token string }

func (op placeOp) Run(ctx *command.Ctx) resp.Value {
	if ctx.Locks == nil {
		return resp.ErrorReply(command.ErrNoLocks)
	}
	at, g := ctx.Locks.Stands(op.name, op.token)
	return resp.Array(resp.Int(int64(at)), resp.Int(int64(g.Fence)), resp.Int(g.ExpiresAt))
}

// Recall asks what a command under an idempotency id has answered before.
func Recall(command command.Args) *command.Single { return ask(nameRecall, command...) }

// RecallIn reads the answer to Recall; ran is false if nothing is known of the id.
func RecallIn(v resp.Value) (reply resp.Value, ran bool) {
	if v.Kind != resp.KindArray || len(v.Elems) != 1 {
		return resp.Value{}, false
	}
	return v.Elems[0], true
}

func recallSpec(t *command.Table) *command.Spec {
	return &command.Spec{
		Name: nameRecall, Group: "lockstep", Arity: -2, Since: "0.1.0", Flags: reads | command.MovableKeys | command.SkipSlowlog,
		Summary: "Answers what a command under an idempotency id has answered before.",
		Args:    []command.Arg{command.String("command"), command.Many(command.String("arg"))},
		FindKeys: func(args command.Args) ([][]byte, error) {
			sp, err := recalled(t, args[1:])
			if err != nil {
				return nil, err
			}
			return sp.KeysOf(args[1:])
		},
		Parse: func(args command.Args) (command.Op, error) {
			sp, err := recalled(t, args[1:])
			return recallOp{sp, args[1:]}, err
		},
	}
}

// recalled is the Spec of a command that deduplicates.
func recalled(t *command.Table, args command.Args) (*command.Spec, error) {
	sp, err := t.Check(args)
	if err == nil && sp.Recall == nil {
		err = errShape
	}
	return sp, err
}

type recallOp struct {
	spec *command.Spec
	args command.Args
}

func (op recallOp) Run(ctx *command.Ctx) resp.Value {
	v, ran := op.spec.Recall(ctx, op.args)
	if !ran {
		return resp.NilArray
	}
	return resp.Array(v)
}
