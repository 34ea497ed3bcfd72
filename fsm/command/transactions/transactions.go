package transactions

import "github.com/lockstepkv/lockstep/fsm/command"

// Commands lists the words around a transaction: the router keeps the queue
// and the watched versions, and the state machine runs the unit.
func Commands(*command.Table) []*command.Spec {
	return []*command.Spec{
		specMulti, specExec, specDiscard, specWatch, specUnwatch,
	}
}

var specMulti = &command.Spec{
	Name: "multi", Group: "transactions", Arity: 1, Since: "1.2.0",
	Flags: command.Connection | command.NoScript | command.Loading | command.StaleOK | command.Fast | command.AllowBusy | command.NoQueue | command.OpensQueue, ACL: []string{"transaction"},
	Summary: "Begins a transaction: commands are queued until EXEC.",
}

var specExec = &command.Spec{
	Name: "exec", Group: "transactions", Arity: 1, Since: "1.2.0",
	Flags: command.Connection | command.NoScript | command.Loading | command.StaleOK | command.SkipSlowlog | command.NoQueue | command.RunsQueue, ACL: []string{"transaction"},
	Summary: "Runs the queued commands as one step, unless a watched key has changed.",
}

var specDiscard = &command.Spec{
	Name: "discard", Group: "transactions", Arity: 1, Since: "2.0.0",
	Flags: command.Connection | command.NoScript | command.Loading | command.StaleOK | command.Fast | command.AllowBusy | command.NoQueue, ACL: []string{"transaction"},
	Summary: "Drops the queued commands.",
}

var specWatch = &command.Spec{
	Name: "watch", Group: "transactions", Arity: -2, Since: "2.2.0",
	Flags: command.Connection | command.NoScript | command.Loading | command.StaleOK | command.Fast | command.AllowBusy | command.NoQueue, ACL: []string{"transaction"},
	Keys:    command.AllKeys(command.RO),
	Summary: "Makes the next transaction depend on keys being unchanged.",
	Args:    []command.Arg{command.Many(command.Key("key"))},
}

var specUnwatch = &command.Spec{
	Name: "unwatch", Group: "transactions", Arity: 1, Since: "2.2.0",
	Flags: command.Connection | command.NoScript | command.Loading | command.StaleOK | command.Fast | command.AllowBusy, ACL: []string{"transaction"},
	Summary: "Forgets the watched keys.",
}
