package command

import "slices"

// CheckClient is Check for what a client sends. Operations that nodes log among
// themselves are unknown to it, also within another command.
func (t *Table) CheckClient(args Args) (*Spec, error) {
	for inner := args; len(inner) > 0; {
		sp := t.Lookup(inner[0])
		switch {
		case sp != nil && sp.Flags.Has(Internal):
			return nil, unknownCommand(inner)
		case sp != nil && sp.Inner > 0 && len(inner) > sp.Inner:
			inner = inner[sp.Inner:]
		default:
			inner = nil
		}
	}
	return t.Check(args)
}

// CheckWrapped finds what is wrong with a command that holds another, and with that
// one, before it is logged, in the words in which the log would refuse it.
func (t *Table) CheckWrapped(args Args) error {
	sp, err := t.CheckData(args)
	if err != nil {
		return err
	}
	if _, err := sp.Parse(args); err != nil {
		return err
	}
	if sp.Inner > 0 {
		return t.CheckWrapped(args[sp.Inner:])
	}
	return nil
}

// IsSecret reports whether args may carry secrets as a whole, also as the command
// within another. Among the words of one that holds several, any name will do: args
// may be malformed.
func (t *Table) IsSecret(args Args) bool {
	for len(args) > 0 {
		sp := t.find(args)
		switch {
		case sp == nil:
			return false
		case sp.Flags.Has(SkipSlowlog):
			return true
		case sp.Flags.Has(Composite):
			return slices.ContainsFunc(args[1:], func(a []byte) bool {
				in := t.Lookup(a)
				return in != nil && in.Flags.Has(SkipSlowlog)
			})
		case sp.Inner == 0 || len(args) <= sp.Inner:
			return false
		}
		args = args[sp.Inner:]
	}
	return false
}

// Redacted returns args with what no log may show replaced.
func (sp *Spec) Redacted(args Args) Args {
	if sp.Secret == nil {
		return args
	}
	out := slices.Clone(args)
	for i := range out {
		if sp.Secret(args, i) {
			out[i] = []byte("(redacted)")
		}
	}
	return out
}

// NeedsMemory reports whether args are refused when memory is short, also for the
// sake of a command within.
func (t *Table) NeedsMemory(args Args) bool {
	sp, err := t.CheckData(args)
	switch {
	case err != nil:
		return false
	case sp.Holds == nil:
		return sp.Flags.Has(DenyOOM)
	}
	held, err := sp.Holds(args)
	return err == nil && slices.ContainsFunc(held, func(in *Spec) bool { return in.Flags.Has(DenyOOM) })
}

// FreesAll reports whether every unit of a batch, given by its parts and its body, is one that
// frees. Parts hold long arguments, which nothing that frees has.
func (t *Table) FreesAll(parts [][]byte, body []byte) bool {
	var r UnitReader
	var u Unit
	for r.Reset(body); !r.Done(); {
		if r.Next(&u) != nil || !t.FreesUnit(u.Cmds) {
			return false
		}
	}
	return len(parts) == 0
}

// FreesUnit reports whether the commands of a unit free: each does, or only reads.
func (t *Table) FreesUnit(cmds []Args) bool {
	return !slices.ContainsFunc(cmds, func(args Args) bool {
		sp, err := t.CheckData(args)
		return err != nil || !sp.Flags.Has(ReadOnly) && !t.Frees(args)
	})
}

// Frees reports whether args are a command that frees memory or ends a lock, also for one
// within another: where disks are full such commands, which are short in the log, are what
// makes room again. Of several commands within one some may only read.
func (t *Table) Frees(args Args) bool {
	sp, err := t.CheckData(args)
	switch {
	case err != nil:
		return false
	case sp.Holds == nil:
		return sp.Flags.Has(Frees)
	}
	held, err := sp.Holds(args)
	switch {
	case err != nil:
		return false
	case sp.Inner > 0 && held[0].Holds != nil:
		return t.Frees(args[sp.Inner:])
	}
	may := Frees
	if sp.Flags.Has(Composite) {
		may |= ReadOnly
	}
	return !slices.ContainsFunc(held, func(in *Spec) bool { return in.Flags&may == 0 })
}
