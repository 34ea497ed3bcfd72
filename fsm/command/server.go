package command

// serverSpecs lists the commands about this server.
func serverSpecs() []*Spec {
	return []*Spec{
		specCommand, specInfo, specConfig, specTime, specSlowlog, specLatency, specWait,
	}
}

var specCommand = &Spec{
	Name: "command", Group: "server", Arity: -1, Since: "2.8.13",
	Flags: Connection | Loading | StaleOK, ACL: []string{"slow", "connection"},
	Summary: "Describes the commands.",
	Sub: []*Spec{
		{
			Name: "command|count", Group: "server", Arity: 2, Since: "2.8.13",
			Flags: Connection | Loading | StaleOK, ACL: []string{"slow", "connection"},
			Summary: "Answers the number of commands.",
		},
		{
			Name: "command|docs", Group: "server", Arity: -2, Since: "7.0.0",
			Flags: Connection | Loading | StaleOK, ACL: []string{"slow", "connection"},
			Summary: "Answers what this table says about commands.",
			Syntax:  "[command [command ...]]",
		},
		{
			Name: "command|getkeys", Group: "server", Arity: -4, Since: "2.8.13",
			Flags: Connection | Loading | StaleOK, ACL: []string{"slow", "connection"},
			Summary: "Answers the keys of a whole command.",
			Syntax:  "command [argument ...]",
		},
		{
			Name: "command|getkeysandflags", Group: "server", Arity: -4, Since: "7.0.0",
			Flags: Connection | Loading | StaleOK, ACL: []string{"slow", "connection"},
			Summary: "Answers the keys of a whole command and how it uses them.",
			Syntax:  "command [argument ...]",
		},
		{
			Name: "command|help", Group: "server", Arity: 2, Since: "5.0.0",
			Flags: Connection | Loading | StaleOK, ACL: []string{"slow", "connection"},
			Summary: "Answers this overview.",
		},
		{
			Name: "command|info", Group: "server", Arity: -2, Since: "2.8.13",
			Flags: Connection | Loading | StaleOK, ACL: []string{"slow", "connection"},
			Summary: "Describes the given commands, or all.",
			Syntax:  "[command [command ...]]",
		},
		{
			Name: "command|list", Group: "server", Arity: -2, Since: "7.0.0",
			Flags: Connection | Loading | StaleOK, ACL: []string{"slow", "connection"},
			Summary: "Answers the names of the commands.",
			Syntax:  "[FILTERBY MODULE name | ACLCAT category | PATTERN pattern]",
		},
	},
}

var specInfo = &Spec{
	Name: "info", Group: "server", Arity: -1, Since: "1.0.0",
	Flags: Connection | Loading | StaleOK, ACL: []string{"slow", "dangerous"},
	Summary: "Answers figures and facts about this node.",
	Syntax:  "[section [section ...]]",
}

var specConfig = &Spec{
	Name: "config", Group: "server", Arity: -2, Since: "2.0.0",
	Flags: Connection, ACL: []string{"slow"},
	Summary: "Shows and changes the configuration.",
	Sub: []*Spec{
		{
			Name: "config|get", Group: "server", Arity: -3, Since: "2.0.0",
			Flags: Connection | Admin | NoScript | Loading | StaleOK, ACL: []string{"admin", "slow", "dangerous"},
			Summary: "Answers the settings that match.",
			Syntax:  "pattern [pattern ...]",
		},
		{
			Name: "config|help", Group: "server", Arity: 2, Since: "5.0.0",
			Flags: Connection | Loading | StaleOK, ACL: []string{"slow"},
			Summary: "Answers this overview.",
		},
		{
			Name: "config|resetstat", Group: "server", Arity: 2, Since: "2.0.0",
			Flags: Connection | Admin | NoScript | Loading | StaleOK, ACL: []string{"admin", "slow", "dangerous"},
			Summary: "Sets the statistics of INFO to zero.",
		},
		{
			Name: "config|rewrite", Group: "server", Arity: 2, Since: "2.8.0",
			Flags: Connection | Admin | NoScript | Loading | StaleOK, ACL: []string{"admin", "slow", "dangerous"},
			Summary: "Refused: a node does not write its own configuration.",
		},
		{
			Name: "config|set", Group: "server", Arity: -4, Since: "2.0.0",
			Flags: Connection | Admin | NoScript | Loading | StaleOK, ACL: []string{"admin", "slow", "dangerous"},
			Summary: "Changes settings that can change at run time.",
			Syntax:  "name value [name value ...]",
		},
	},
}

var specTime = &Spec{
	Name: "time", Group: "server", Arity: 1, Since: "2.6.0",
	Flags: Connection | Loading | StaleOK | Fast, ACL: []string{"fast"},
	Summary: "Answers this node's clock: Unix seconds, and microseconds within the second.",
}

var specSlowlog = &Spec{
	Name: "slowlog", Group: "server", Arity: -2, Since: "2.2.12",
	Flags: Connection, ACL: []string{"slow"},
	Summary: "Shows the commands that took long.",
	Sub: []*Spec{
		{
			Name: "slowlog|get", Group: "server", Arity: -2, Since: "2.2.12",
			Flags: Connection | Admin | Loading | StaleOK, ACL: []string{"admin", "slow", "dangerous"},
			Summary: "Answers the newest slow commands.",
			Syntax:  "[count]",
		},
		{
			Name: "slowlog|help", Group: "server", Arity: 2, Since: "6.2.0",
			Flags: Connection | Loading | StaleOK, ACL: []string{"slow"},
			Summary: "Answers this overview.",
		},
		{
			Name: "slowlog|len", Group: "server", Arity: 2, Since: "2.2.12",
			Flags: Connection | Admin | Loading | StaleOK, ACL: []string{"admin", "slow", "dangerous"},
			Summary: "Answers the number of slow commands kept.",
		},
		{
			Name: "slowlog|reset", Group: "server", Arity: 2, Since: "2.2.12",
			Flags: Connection | Admin | Loading | StaleOK, ACL: []string{"admin", "slow", "dangerous"},
			Summary: "Forgets the slow commands.",
		},
	},
}

var specLatency = &Spec{
	Name: "latency", Group: "server", Arity: -2, Since: "2.8.13",
	Flags: Connection, ACL: []string{"slow"},
	Summary: "Shows latencies.",
	Sub: []*Spec{
		{
			Name: "latency|doctor", Group: "server", Arity: 2, Since: "2.8.13",
			Flags: Connection | Admin | NoScript | Loading | StaleOK, ACL: []string{"admin", "slow", "dangerous"},
			Summary: "Answers a report in words.",
		},
		{
			Name: "latency|graph", Group: "server", Arity: 3, Since: "2.8.13",
			Flags: Connection | Admin | NoScript | Loading | StaleOK, ACL: []string{"admin", "slow", "dangerous"},
			Summary: "Draws the latencies of an event.",
			Syntax:  "event",
		},
		{
			Name: "latency|help", Group: "server", Arity: 2, Since: "2.8.13",
			Flags: Connection | Loading | StaleOK, ACL: []string{"slow"},
			Summary: "Answers this overview.",
		},
		{
			Name: "latency|histogram", Group: "server", Arity: -2, Since: "7.0.0",
			Flags: Connection | Admin | NoScript | Loading | StaleOK, ACL: []string{"admin", "slow", "dangerous"},
			Summary: "Answers how long commands took, as histograms.",
			Syntax:  "[command [command ...]]",
		},
		{
			Name: "latency|history", Group: "server", Arity: 3, Since: "2.8.13",
			Flags: Connection | Admin | NoScript | Loading | StaleOK, ACL: []string{"admin", "slow", "dangerous"},
			Summary: "Answers the latencies of an event over time.",
			Syntax:  "event",
		},
		{
			Name: "latency|latest", Group: "server", Arity: 2, Since: "2.8.13",
			Flags: Connection | Admin | NoScript | Loading | StaleOK, ACL: []string{"admin", "slow", "dangerous"},
			Summary: "Answers the newest latency of each event.",
		},
		{
			Name: "latency|reset", Group: "server", Arity: -2, Since: "2.8.13",
			Flags: Connection | Admin | NoScript | Loading | StaleOK, ACL: []string{"admin", "slow", "dangerous"},
			Summary: "Forgets latencies.",
			Syntax:  "[event [event ...]]",
		},
	},
}

var specWait = &Spec{
	Name: "wait", Group: "generic", Arity: 3, Since: "3.0.0",
	Flags: Connection | NoScript, ACL: []string{"slow", "connection"},
	Summary: "Answers the number of replicas that have the writes of this connection: an acknowledged write is on a quorum.",
	Syntax:  "numreplicas timeout",
}
