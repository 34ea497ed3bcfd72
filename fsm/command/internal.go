package command

// CheckClient is Check for what a client sends. Operations that nodes log among
// themselves are unknown to it, also within ONCE and FENCED.
func (t *Table) CheckClient(args Args) (*Spec, error) {
	for inner := args; len(inner) > 0; {
		sp := t.Lookup(inner[0])
		switch {
		case sp != nil && sp.Flags.Has(Internal):
			return nil, unknownCommand(inner)
		case sp != nil && sp.Name == "once" && len(inner) > 2:
			inner = inner[2:]
		case sp != nil && sp.Name == "fenced" && len(inner) > 3:
			inner = inner[3:]
		default:
			inner = nil
		}
	}
	return t.Check(args)
}

// CheckWrapped finds what is wrong with ONCE or FENCED and with the command within
// before it is logged, in the words in which the log would refuse it.
func (t *Table) CheckWrapped(args Args) error {
	sp, err := t.checkData(args)
	if err != nil {
		return err
	}
	op, err := sp.Parse(args)
	if err != nil {
		return err
	}
	switch op := op.(type) {
	case *onceOp:
		return t.CheckWrapped(op.inner)
	case *fencedOp:
		return t.CheckWrapped(op.inner)
	}
	return nil
}

// FenceFloor is what makes all further fences of a shard higher than floor. It is
// for the log, and no command.
func FenceFloor(floor []byte) Args { return Args{[]byte(nameFenceFloor), floor} }
