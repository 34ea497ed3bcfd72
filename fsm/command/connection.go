package command

// connectionSpecs lists the commands about one client connection.
func connectionSpecs() []*Spec {
	return []*Spec{
		specPing, specEcho, specHello, specAuth, specClient, specSelect, specQuit, specReset, specReadonly, specReadwrite,
	}
}

var specPing = &Spec{
	Name: "ping", Group: "connection", Arity: -1, Since: "1.0.0",
	Flags: Connection | Fast, ACL: []string{"fast", "connection"},
	Summary: "Answers PONG, or the message.",
	Syntax:  "[message]",
}

var specEcho = &Spec{
	Name: "echo", Group: "connection", Arity: 2, Since: "1.0.0",
	Flags: Connection | Loading | StaleOK | Fast, ACL: []string{"fast", "connection"},
	Summary: "Answers the message.",
	Syntax:  "message",
}

var specHello = &Spec{
	Name: "hello", Group: "connection", Arity: -1, Since: "6.0.0",
	Flags: Connection | NoScript | Loading | StaleOK | Fast | NoAuth | AllowBusy, ACL: []string{"fast", "connection"},
	Summary: "Chooses the protocol version, 2 or 3, and answers facts about the server.",
	Syntax:  "[protover [AUTH username password] [SETNAME name]]",
}

var specAuth = &Spec{
	Name: "auth", Group: "connection", Arity: -2, Since: "1.0.0",
	Flags: Connection | NoScript | Loading | StaleOK | Fast | NoAuth | AllowBusy, ACL: []string{"fast", "connection"},
	Summary: "Authenticates the connection.",
	Syntax:  "[username] password",
}

var specClient = &Spec{
	Name: "client", Group: "connection", Arity: -2, Since: "2.4.0",
	Flags: Connection, ACL: []string{"slow"},
	Summary: "Shows and controls client connections.",
	Sub: []*Spec{
		{
			Name: "client|getname", Group: "connection", Arity: 2, Since: "2.6.9",
			Flags: Connection | NoScript | Loading | StaleOK, ACL: []string{"slow", "connection"},
			Summary: "Answers the name of this connection.",
		},
		{
			Name: "client|help", Group: "connection", Arity: 2, Since: "5.0.0",
			Flags: Connection | Loading | StaleOK, ACL: []string{"slow", "connection"},
			Summary: "Answers this overview.",
		},
		{
			Name: "client|id", Group: "connection", Arity: 2, Since: "5.0.0",
			Flags: Connection | NoScript | Loading | StaleOK, ACL: []string{"slow", "connection"},
			Summary: "Answers the number of this connection.",
		},
		{
			Name: "client|info", Group: "connection", Arity: 2, Since: "6.2.0",
			Flags: Connection | NoScript | Loading | StaleOK, ACL: []string{"slow", "connection"},
			Summary: "Describes this connection.",
		},
		{
			Name: "client|kill", Group: "connection", Arity: -3, Since: "2.4.0",
			Flags: Connection | Admin | NoScript | Loading | StaleOK, ACL: []string{"admin", "slow", "dangerous", "connection"},
			Summary: "Closes connections.",
			Syntax:  "address | [ID id] [TYPE type] [ADDR address] [LADDR address] [USER username] [SKIPME YES | NO]",
		},
		{
			Name: "client|list", Group: "connection", Arity: -2, Since: "2.4.0",
			Flags: Connection | Admin | NoScript | Loading | StaleOK, ACL: []string{"admin", "slow", "dangerous", "connection"},
			Summary: "Describes all connections of this node.",
			Syntax:  "[TYPE type] [ID id [id ...]]",
		},
		{
			Name: "client|no-evict", Group: "connection", Arity: 3, Since: "7.0.0",
			Flags: Connection | Admin | NoScript | Loading | StaleOK, ACL: []string{"admin", "slow", "dangerous", "connection"},
			Summary: "Keeps this connection from being closed when clients hold more than maxmemory-clients.",
			Syntax:  "ON | OFF",
		},
		{
			Name: "client|no-touch", Group: "connection", Arity: 3, Since: "7.2.0",
			Flags: Connection | NoScript | Loading | StaleOK, ACL: []string{"slow", "connection"},
			Summary: "Lets reads of this connection leave no trace in the eviction order.",
			Syntax:  "ON | OFF",
		},
		{
			Name: "client|reply", Group: "connection", Arity: 3, Since: "3.2.0",
			Flags: Connection | NoScript | Loading | StaleOK, ACL: []string{"slow", "connection"},
			Summary: "Turns replies off or on.",
			Syntax:  "ON | OFF | SKIP",
		},
		{
			Name: "client|setinfo", Group: "connection", Arity: 4, Since: "7.2.0",
			Flags: Connection | NoScript | Loading | StaleOK, ACL: []string{"slow", "connection"},
			Summary: "Takes the name and version of the client library.",
			Syntax:  "LIB-NAME name | LIB-VER version",
		},
		{
			Name: "client|setname", Group: "connection", Arity: 3, Since: "2.6.9",
			Flags: Connection | NoScript | Loading | StaleOK, ACL: []string{"slow", "connection"},
			Summary: "Names this connection, for CLIENT LIST; at most 1024 bytes.",
			Syntax:  "name",
		},
	},
}

var specSelect = &Spec{
	Name: "select", Group: "connection", Arity: 2, Since: "1.0.0",
	Flags: Connection | Loading | StaleOK | Fast, ACL: []string{"fast", "connection"},
	Summary: "Chooses a database; there is only 0.",
	Syntax:  "index",
}

var specQuit = &Spec{
	Name: "quit", Group: "connection", Arity: -1, Since: "1.0.0",
	Flags: Connection | NoScript | Loading | StaleOK | Fast | NoAuth | AllowBusy | NoQueue, ACL: []string{"fast", "connection"},
	Summary: "Closes the connection.",
}

var specReset = &Spec{
	Name: "reset", Group: "connection", Arity: 1, Since: "6.2.0",
	Flags: Connection | NoScript | Loading | StaleOK | Fast | NoAuth | AllowBusy | NoQueue, ACL: []string{"fast", "connection"},
	Summary: "Puts the connection back to its first state.",
}

var specReadonly = &Spec{
	Name: "readonly", Group: "cluster", Arity: 1, Since: "3.0.0",
	Flags: Connection | Loading | StaleOK | Fast, ACL: []string{"fast", "connection"},
	Summary: "Allows this connection reads that may be stale, from any node.",
}

var specReadwrite = &Spec{
	Name: "readwrite", Group: "cluster", Arity: 1, Since: "3.0.0",
	Flags: Connection | Loading | StaleOK | Fast, ACL: []string{"fast", "connection"},
	Summary: "Ends READONLY.",
}
