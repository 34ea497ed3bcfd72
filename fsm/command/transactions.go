package command

// transactionSpecs lists the words around a transaction: the router keeps the queue
// and the watched versions, and the state machine runs the unit.
func transactionSpecs() []*Spec {
	return []*Spec{
		specMulti, specExec, specDiscard, specWatch, specUnwatch,
	}
}

var specMulti = &Spec{
	Name: "multi", Group: "transactions", Arity: 1, Since: "1.2.0",
	Flags: Connection | NoScript | Loading | StaleOK | Fast | AllowBusy | NoQueue, ACL: []string{"fast", "transaction"},
	Summary: "Begins a transaction: commands are queued until EXEC.",
}

var specExec = &Spec{
	Name: "exec", Group: "transactions", Arity: 1, Since: "1.2.0",
	Flags: Connection | NoScript | Loading | StaleOK | SkipSlowlog | NoQueue, ACL: []string{"slow", "transaction"},
	Summary: "Runs the queued commands as one step, unless a watched key has changed.",
}

var specDiscard = &Spec{
	Name: "discard", Group: "transactions", Arity: 1, Since: "2.0.0",
	Flags: Connection | NoScript | Loading | StaleOK | Fast | AllowBusy | NoQueue, ACL: []string{"fast", "transaction"},
	Summary: "Drops the queued commands.",
}

var specWatch = &Spec{
	Name: "watch", Group: "transactions", Arity: -2, Since: "2.2.0",
	Flags: Connection | NoScript | Loading | StaleOK | Fast | AllowBusy | NoQueue, ACL: []string{"fast", "transaction"}, Keys: KeyRange{First: 1, Last: -1, Step: 1},
	Summary: "Makes the next transaction depend on keys being unchanged.",
	Syntax:  "key [key ...]",
}

var specUnwatch = &Spec{
	Name: "unwatch", Group: "transactions", Arity: 1, Since: "2.2.0",
	Flags: Connection | NoScript | Loading | StaleOK | Fast | AllowBusy, ACL: []string{"fast", "transaction"},
	Summary: "Forgets the watched keys.",
}
