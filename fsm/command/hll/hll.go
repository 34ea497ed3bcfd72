package hll

import (
	"bytes"
	"errors"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/resp"
	"github.com/lockstepkv/lockstep/store"
	"github.com/lockstepkv/lockstep/store/value/hll"
)

// Commands lists the commands on HyperLogLogs.
func Commands(*command.Table) []*command.Spec {
	return []*command.Spec{specPFAdd, specPFCount, specPFMerge, specPFDebug, specPFSelfTest}
}

var (
	errInvalid = command.OfValue("WRONGTYPE Key is not a valid HyperLogLog string value.")
	errCorrupt = command.OfValue("INVALIDOBJ Corrupted HLL object detected")
)

// refusal is the reply to a string that is no HyperLogLog, or to a value that is no string.
func refusal(err error) resp.Value {
	switch {
	case errors.Is(err, hll.ErrInvalid):
		err = errInvalid
	case errors.Is(err, hll.ErrCorrupt):
		err = errCorrupt
	}
	return resp.ErrorReply(err)
}

// sketchOf returns what the string of e holds, to be read only.
func sketchOf(e *store.Entry) (hll.Sketch, error) {
	if _, err := command.OfType(store.String, e); err != nil {
		return hll.Sketch{}, err
	}
	return hll.Of(e.Look())
}

// ownSketch is sketchOf for a copy, which may be changed.
func ownSketch(ctx *command.Ctx, e *store.Entry) (hll.Sketch, error) {
	if s, err := sketchOf(e); err != nil {
		return s, err
	}
	s, err := hll.Of(bytes.Clone(e.Look()))
	limit(ctx, &s)
	return s, err
}

func limit(ctx *command.Ctx, s *hll.Sketch) { s.Limit(int(ctx.Limits[store.HLLSparse])) }

var specPFAdd = &command.Spec{
	Name: "pfadd", Group: "hyperloglog", Arity: -2, Since: "2.8.9",
	Flags: command.Write | command.DenyOOM | command.Fast, ACL: []string{"hyperloglog"},
	Keys:    command.OneKey(command.RW | command.Insert),
	Summary: "Counts elements in a HyperLogLog, and answers 1 if its estimate may have changed.",
	Args:    []command.Arg{command.Key("key"), command.Opt(command.Many(command.String("element")))},
	Parse:   func(args command.Args) (command.Op, error) { return addOp{args[1], args[2:]}, nil },
}

type addOp struct {
	key      []byte
	elements command.Args
}

func (op addOp) Run(ctx *command.Ctx) resp.Value {
	e := ctx.Lookup(op.key)
	if e == nil {
		s := hll.New()
		limit(ctx, &s)
		if _, err := op.add(&s); err != nil {
			return refusal(err)
		}
		s.Invalidate()
		ctx.Put(op.key, s.Bytes(), 0, true)
		return resp.One
	}
	s, err := sketchOf(e)
	switch {
	case err != nil:
		return refusal(err)
	case s.Dense():
		return op.addDense(ctx, e)
	}
	if s, err = ownSketch(ctx, e); err != nil {
		return refusal(err)
	}
	changed, err := op.add(&s)
	switch {
	case err != nil:
		return refusal(err)
	case changed:
		s.Invalidate()
	}
	if changed || !e.Raw() {
		ctx.Put(op.key, s.Bytes(), e.ExpireAt(), true)
	}
	return command.BoolReply(changed)
}

func (op addOp) add(s *hll.Sketch) (changed bool, err error) {
	for _, element := range op.elements {
		did, err := s.Add(element)
		if err != nil {
			return false, err
		}
		changed = changed || did
	}
	return changed, nil
}

// addDense writes the registers where they are.
func (op addOp) addDense(ctx *command.Ctx, e *store.Entry) resp.Value {
	changed := false
	ctx.Overwrite(op.key, e, e.Len(), func(value []byte) (wrote []command.Range) {
		s, err := hll.Of(value)
		if err != nil {
			return nil // it was one, and has the same bytes
		}
		for _, element := range op.elements {
			if did, _ := s.Add(element); did { // what is dense has no errors
				from, to := hll.DensePlace(element)
				wrote = append(wrote, command.Range{From: from, To: to})
			}
		}
		if changed = len(wrote) > 0; changed {
			s.Invalidate()
			wrote = append(wrote, command.Range{From: hll.CacheFrom, To: hll.CacheTo})
		}
		return wrote
	})
	return command.BoolReply(changed)
}

var specPFCount = &command.Spec{
	Name: "pfcount", Group: "hyperloglog", Arity: -2, Since: "2.8.9",
	Flags: command.ReadOnly, ACL: []string{"hyperloglog"}, Keys: command.AllKeys(command.RW | command.Access),
	Summary: "Estimates how many different elements were added to a HyperLogLog, or to any of several.",
	Args:    []command.Arg{command.Many(command.Key("key"))},
	Parse:   func(args command.Args) (command.Op, error) { return countOp{args[1:]}, nil },
}

type countOp struct{ keys command.Args }

func (op countOp) Run(ctx *command.Ctx) resp.Value {
	if len(op.keys) == 1 {
		return op.one(ctx)
	}
	var m hll.Registers
	for _, key := range op.keys {
		e := ctx.Read(key)
		if e == nil {
			continue
		}
		s, err := sketchOf(e)
		if err == nil {
			err = m.Merge(s)
		}
		if err != nil {
			return refusal(err)
		}
	}
	return resp.Int(int64(m.Count()))
}

func (op countOp) one(ctx *command.Ctx) resp.Value {
	e := ctx.Read(op.keys[0])
	if e == nil {
		return resp.Zero
	}
	s, err := sketchOf(e)
	if err != nil {
		return refusal(err)
	}
	n, ok := s.Cached()
	if !ok {
		if n, err = s.Count(); err != nil {
			return refusal(err)
		}
	}
	return resp.Int(int64(n))
}

var specPFMerge = &command.Spec{
	Name: "pfmerge", Group: "hyperloglog", Arity: -2, Since: "2.8.9",
	Flags: command.Write | command.DenyOOM, ACL: []string{"hyperloglog"},
	Keys: []command.KeySpec{
		{First: 1, Last: 1, Step: 1, Use: command.RW | command.Access | command.Insert},
		{First: 2, Last: -1, Step: 1, Use: command.RO | command.Access},
	},
	Summary: "Merges HyperLogLogs into the first.",
	Args:    []command.Arg{command.Key("destkey"), command.Many(command.Key("sourcekey"))},
	Parse:   func(args command.Args) (command.Op, error) { return mergeOp{args[1:]}, nil },
}

type mergeOp struct{ keys command.Args }

func (op mergeOp) Run(ctx *command.Ctx) resp.Value {
	var m hll.Registers
	dense := false
	for _, key := range op.keys {
		e := ctx.Read(key)
		if e == nil {
			continue
		}
		s, err := sketchOf(e)
		if err == nil {
			dense = dense || s.Dense()
			err = m.Merge(s)
		}
		if err != nil {
			return refusal(err)
		}
	}
	s, at := hll.New(), int64(0)
	limit(ctx, &s)
	var err error
	if e := ctx.Lookup(op.keys[0]); e != nil {
		at = e.ExpireAt()
		if s, err = ownSketch(ctx, e); err != nil {
			return refusal(err)
		}
	}
	if dense {
		err = s.MakeDense()
	}
	if err == nil {
		err = s.Raise(&m)
	}
	if err != nil {
		return refusal(err)
	}
	ctx.Put(op.keys[0], s.Bytes(), at, true)
	return resp.OK
}
