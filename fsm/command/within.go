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
	case sp.NeedsMemory != nil:
		return sp.NeedsMemory(args)
	}
	return sp.Flags.Has(DenyOOM)
}
