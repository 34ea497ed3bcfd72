package connection

import "github.com/lockstepkv/lockstep/fsm/command"

// Commands lists the commands about one client connection.
func Commands(*command.Table) []*command.Spec {
	return []*command.Spec{
		specPing, specEcho, specHello, specAuth, specClient, specSelect, specQuit, specReset, specReadonly, specReadwrite,
	}
}

var specPing = &command.Spec{
	Name: "ping", Group: "connection", Arity: -1, Since: "1.0.0",
	Flags: command.Connection | command.Fast, ACL: []string{"connection"},
	Summary: "Answers PONG, or the message.",
	Args:    []command.Arg{command.Opt(command.String("message"))},
}

var specEcho = &command.Spec{
	Name: "echo", Group: "connection", Arity: 2, Since: "1.0.0",
	Flags: command.Connection | command.Loading | command.StaleOK | command.Fast, ACL: []string{"connection"},
	Summary: "Answers the message.",
	Args:    []command.Arg{command.String("message")},
}

var specHello = &command.Spec{
	Name: "hello", Group: "connection", Arity: -1, Since: "6.0.0",
	Flags: command.Connection | command.NoScript | command.Loading | command.StaleOK | command.Fast | command.NoAuth | command.AllowBusy, ACL: []string{"connection"},
	Summary: "Chooses the protocol version, 2 or 3, and answers facts about the server.",
	Secret: func(args command.Args, i int) bool {
		return i > 2 && (command.IsWord(args[i-1], "AUTH") || i > 3 && command.IsWord(args[i-2], "AUTH"))
	},
	Args: []command.Arg{command.Opt(command.Block("arguments", command.Integer("protover"), command.Opt(command.Block("username_password", command.String("username"), command.String("password")).After("AUTH")), command.Opt(command.String("clientname").As("name").After("SETNAME"))))},
}

var specAuth = &command.Spec{
	Name: "auth", Group: "connection", Arity: -2, Since: "1.0.0",
	Flags: command.Connection | command.NoScript | command.Loading | command.StaleOK | command.Fast | command.NoAuth | command.AllowBusy, ACL: []string{"connection"},
	Summary: "Authenticates the connection.",
	Secret:  func(_ command.Args, i int) bool { return i > 0 },
	Args:    []command.Arg{command.Opt(command.String("username")), command.String("password")},
}

var specClient = &command.Spec{
	Name: "client", Group: "connection", Arity: -2, Since: "2.4.0",
	Flags:   command.Connection,
	Summary: "Shows and controls client connections.",
	Sub: []*command.Spec{
		{
			Name: "client|getname", Group: "connection", Arity: 2, Since: "2.6.9",
			Flags: command.Connection | command.NoScript | command.Loading | command.StaleOK, ACL: []string{"connection"},
			Summary: "Answers the name of this connection.",
		},
		{
			Name: "client|help", Group: "connection", Arity: 2, Since: "5.0.0",
			Flags: command.Connection | command.Loading | command.StaleOK | command.Help, ACL: []string{"connection"},
			Summary: "Answers this overview.",
		},
		{
			Name: "client|id", Group: "connection", Arity: 2, Since: "5.0.0",
			Flags: command.Connection | command.NoScript | command.Loading | command.StaleOK, ACL: []string{"connection"},
			Summary: "Answers the number of this connection.",
		},
		{
			Name: "client|info", Group: "connection", Arity: 2, Since: "6.2.0",
			Flags: command.Connection | command.NoScript | command.Loading | command.StaleOK, ACL: []string{"connection"},
			Summary: "Describes this connection.",
		},
		{
			Name: "client|kill", Group: "connection", Arity: -3, Since: "2.4.0",
			Flags: command.Connection | command.Admin | command.NoScript | command.Loading | command.StaleOK, ACL: []string{"connection"},
			Summary: "Closes connections.",
			Args: []command.Arg{command.OneOf("filter", command.String("ip:port").As("address"), command.Many(command.OneOf("new-format",
				command.Opt(command.Integer("client-id").As("id").After("ID")),
				command.Opt(typeOf("normal_master_slave_pubsub", "NORMAL", "MASTER", "SLAVE", "REPLICA", "PUBSUB")),
				command.Opt(command.String("username").After("USER")),
				command.Opt(command.String("ip:port").As("address").After("ADDR")),
				command.Opt(command.String("ip:port").As("address").After("LADDR")),
				command.Opt(command.String("yes/no").As("YES | NO").After("SKIPME")),
			)).Line("[ID id] [TYPE type] [ADDR address] [LADDR address] [USER username] [SKIPME YES | NO]"))},
		},
		{
			Name: "client|list", Group: "connection", Arity: -2, Since: "2.4.0",
			Flags: command.Connection | command.Admin | command.NoScript | command.Loading | command.StaleOK, ACL: []string{"connection"},
			Summary: "Describes all connections of this node.",
			Args: []command.Arg{
				command.Opt(typeOf("normal_master_replica_pubsub", "NORMAL", "MASTER", "REPLICA", "PUBSUB")),
				command.Opt(command.Block("id", command.Many(command.Integer("client-id").As("id"))).After("ID")),
			},
		},
		{
			Name: "client|no-evict", Group: "connection", Arity: 3, Since: "7.0.0",
			Flags: command.Connection | command.Admin | command.NoScript | command.Loading | command.StaleOK, ACL: []string{"connection"},
			Summary: "Keeps this connection from being closed when clients hold more than maxmemory-clients.",
			Args:    []command.Arg{command.OneOf("enabled", command.Token("ON"), command.Token("OFF"))},
		},
		{
			Name: "client|no-touch", Group: "connection", Arity: 3, Since: "7.2.0",
			Flags: command.Connection | command.NoScript | command.Loading | command.StaleOK, ACL: []string{"connection"},
			Summary: "Lets reads of this connection leave no trace in the eviction order.",
			Args:    []command.Arg{command.OneOf("enabled", command.Token("ON"), command.Token("OFF"))},
		},
		{
			Name: "client|reply", Group: "connection", Arity: 3, Since: "3.2.0",
			Flags: command.Connection | command.NoScript | command.Loading | command.StaleOK, ACL: []string{"connection"},
			Summary: "Turns replies off or on.",
			Args:    []command.Arg{command.OneOf("on_off_skip", command.Token("ON"), command.Token("OFF"), command.Token("SKIP"))},
		},
		{
			Name: "client|setinfo", Group: "connection", Arity: 4, Since: "7.2.0",
			Flags: command.Connection | command.NoScript | command.Loading | command.StaleOK, ACL: []string{"connection"},
			Summary: "Takes the name and version of the client library.",
			Args:    []command.Arg{command.OneOf("attr", command.String("libname").As("name").After("LIB-NAME"), command.String("libver").As("version").After("LIB-VER"))},
		},
		{
			Name: "client|setname", Group: "connection", Arity: 3, Since: "2.6.9",
			Flags: command.Connection | command.NoScript | command.Loading | command.StaleOK, ACL: []string{"connection"},
			Summary: "Names this connection, for CLIENT LIST; at most 1024 bytes.",
			Args:    []command.Arg{command.String("connection-name").As("name")},
		},
	},
}

var specSelect = &command.Spec{
	Name: "select", Group: "connection", Arity: 2, Since: "1.0.0",
	Flags: command.Connection | command.Loading | command.StaleOK | command.Fast, ACL: []string{"connection"},
	Summary: "Chooses a database; there is only 0.",
	Args:    []command.Arg{command.Integer("index")},
}

var specQuit = &command.Spec{
	Name: "quit", Group: "connection", Arity: -1, Since: "1.0.0",
	Flags: command.Connection | command.NoScript | command.Loading | command.StaleOK | command.Fast | command.NoAuth | command.AllowBusy | command.NoQueue, ACL: []string{"connection"},
	Summary: "Closes the connection.",
}

var specReset = &command.Spec{
	Name: "reset", Group: "connection", Arity: 1, Since: "6.2.0",
	Flags: command.Connection | command.NoScript | command.Loading | command.StaleOK | command.Fast | command.NoAuth | command.AllowBusy | command.NoQueue, ACL: []string{"connection"},
	Summary: "Puts the connection back to its first state.",
}

var specReadonly = &command.Spec{
	Name: "readonly", Group: "cluster", Arity: 1, Since: "3.0.0",
	Flags: command.Connection | command.Loading | command.StaleOK | command.Fast, ACL: []string{"connection"},
	Summary: "Allows this connection reads that may be stale, from any node.",
}

var specReadwrite = &command.Spec{
	Name: "readwrite", Group: "cluster", Arity: 1, Since: "3.0.0",
	Flags: command.Connection | command.Loading | command.StaleOK | command.Fast, ACL: []string{"connection"},
	Summary: "Ends READONLY.",
}

// typeOf is a kind of client.
func typeOf(name string, kinds ...string) command.Arg {
	var words []command.Arg
	for _, kind := range kinds {
		words = append(words, command.Token(kind))
	}
	return command.OneOf(name, words...).As("type").After("TYPE")
}
