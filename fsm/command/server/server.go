package server

import (
	"slices"
	"strings"

	"github.com/lockstepkv/lockstep/fsm/command"
)

// Commands lists the commands about this server.
func Commands(*command.Table) []*command.Spec {
	return []*command.Spec{
		specCommand, specInfo, specConfig, specTime, specSlowlog, specLatency, specWait,
	}
}

var specCommand = &command.Spec{
	Name: "command", Group: "server", Arity: -1, Since: "2.8.13",
	Flags: command.Connection | command.Loading | command.StaleOK, ACL: []string{"connection"},
	Summary: "Describes the commands.",
	Sub: []*command.Spec{
		{
			Name: "command|count", Group: "server", Arity: 2, Since: "2.8.13",
			Flags: command.Connection | command.Loading | command.StaleOK, ACL: []string{"connection"},
			Summary: "Answers the number of commands.",
		},
		{
			Name: "command|docs", Group: "server", Arity: -2, Since: "7.0.0",
			Flags: command.Connection | command.Loading | command.StaleOK, ACL: []string{"connection"},
			Summary: "Answers what this table says about commands.",
			Args:    []command.Arg{command.Opt(command.Many(command.String("command-name").As("command")))},
		},
		{
			Name: "command|getkeys", Group: "server", Arity: -4, Since: "2.8.13",
			Flags: command.Connection | command.Loading | command.StaleOK, ACL: []string{"connection"},
			Summary: "Answers the keys of a whole command.",
			Args:    []command.Arg{command.String("command"), command.Opt(command.Many(command.String("arg")).Line("argument ..."))},
		},
		{
			Name: "command|getkeysandflags", Group: "server", Arity: -4, Since: "7.0.0",
			Flags: command.Connection | command.Loading | command.StaleOK, ACL: []string{"connection"},
			Summary: "Answers the keys of a whole command and how it uses them.",
			Args:    []command.Arg{command.String("command"), command.Opt(command.Many(command.String("arg")).Line("argument ..."))},
		},
		{
			Name: "command|help", Group: "server", Arity: 2, Since: "5.0.0",
			Flags: command.Connection | command.Loading | command.StaleOK | command.Help, ACL: []string{"connection"},
			Summary: "Answers this overview.",
		},
		{
			Name: "command|info", Group: "server", Arity: -2, Since: "2.8.13",
			Flags: command.Connection | command.Loading | command.StaleOK, ACL: []string{"connection"},
			Summary: "Describes the given commands, or all.",
			Args:    []command.Arg{command.Opt(command.Many(command.String("command-name").As("command")))},
		},
		{
			Name: "command|list", Group: "server", Arity: -2, Since: "7.0.0",
			Flags: command.Connection | command.Loading | command.StaleOK, ACL: []string{"connection"},
			Summary: "Answers the names of the commands.",
			Args: []command.Arg{command.Opt(command.OneOf("filterby",
				command.String("module-name").As("name").After("MODULE"), command.String("category").After("ACLCAT"), command.Pattern("pattern").After("PATTERN"),
			).After("FILTERBY"))},
		},
	},
}

var specInfo = &command.Spec{
	Name: "info", Group: "server", Arity: -1, Since: "1.0.0",
	Flags: command.Connection | command.Loading | command.StaleOK, ACL: []string{"dangerous"},
	Summary: "Answers figures and facts about this node.",
	Args:    []command.Arg{command.Opt(command.Many(command.String("section")))},
}

var specConfig = &command.Spec{
	Name: "config", Group: "server", Arity: -2, Since: "2.0.0",
	Flags:   command.Connection,
	Summary: "Shows and changes the configuration.",
	Sub: []*command.Spec{
		{
			Name: "config|get", Group: "server", Arity: -3, Since: "2.0.0",
			Flags:   command.Connection | command.Admin | command.NoScript | command.Loading | command.StaleOK,
			Summary: "Answers the settings that match.",
			Args:    []command.Arg{command.Many(command.Block("parameter", command.String("parameter").As("pattern")))},
		},
		{
			Name: "config|help", Group: "server", Arity: 2, Since: "5.0.0",
			Flags:   command.Connection | command.Loading | command.StaleOK | command.Help,
			Summary: "Answers this overview.",
		},
		{
			Name: "config|resetstat", Group: "server", Arity: 2, Since: "2.0.0",
			Flags:   command.Connection | command.Admin | command.NoScript | command.Loading | command.StaleOK,
			Summary: "Sets the statistics of INFO to zero.",
		},
		{
			Name: "config|rewrite", Group: "server", Arity: 2, Since: "2.8.0",
			Flags:   command.Connection | command.Admin | command.NoScript | command.Loading | command.StaleOK,
			Summary: "Refused: a node does not write its own configuration.",
		},
		{
			Name: "config|set", Group: "server", Arity: -4, Since: "2.0.0",
			Flags:   command.Connection | command.Admin | command.NoScript | command.Loading | command.StaleOK,
			Summary: "Changes settings that can change at run time.",
			Secret: func(args command.Args, i int) bool {
				return i%2 == 1 && i > 2 && secretSetting(strings.ToLower(string(args[i-1])))
			},
			Args: []command.Arg{command.Many(command.Block("parameter_value", command.String("parameter").As("name"), command.String("value")))},
		},
	},
}

var specTime = &command.Spec{
	Name: "time", Group: "server", Arity: 1, Since: "2.6.0",
	Flags:   command.Connection | command.Loading | command.StaleOK | command.Fast,
	Summary: "Answers this node's clock: Unix seconds, and microseconds within the second.",
}

var specSlowlog = &command.Spec{
	Name: "slowlog", Group: "server", Arity: -2, Since: "2.2.12",
	Flags:   command.Connection,
	Summary: "Shows the commands that took long.",
	Sub: []*command.Spec{
		{
			Name: "slowlog|get", Group: "server", Arity: -2, Since: "2.2.12",
			Flags:   command.Connection | command.Admin | command.Loading | command.StaleOK,
			Summary: "Answers the newest slow commands.",
			Args:    []command.Arg{command.Opt(command.Integer("count"))},
		},
		{
			Name: "slowlog|help", Group: "server", Arity: 2, Since: "6.2.0",
			Flags:   command.Connection | command.Loading | command.StaleOK | command.Help,
			Summary: "Answers this overview.",
		},
		{
			Name: "slowlog|len", Group: "server", Arity: 2, Since: "2.2.12",
			Flags:   command.Connection | command.Admin | command.Loading | command.StaleOK,
			Summary: "Answers the number of slow commands kept.",
		},
		{
			Name: "slowlog|reset", Group: "server", Arity: 2, Since: "2.2.12",
			Flags:   command.Connection | command.Admin | command.Loading | command.StaleOK,
			Summary: "Forgets the slow commands.",
		},
	},
}

var specLatency = &command.Spec{
	Name: "latency", Group: "server", Arity: -2, Since: "2.8.13",
	Flags:   command.Connection,
	Summary: "Shows latencies.",
	Sub: []*command.Spec{
		{
			Name: "latency|doctor", Group: "server", Arity: 2, Since: "2.8.13",
			Flags:   command.Connection | command.Admin | command.NoScript | command.Loading | command.StaleOK,
			Summary: "Answers a report in words.",
		},
		{
			Name: "latency|graph", Group: "server", Arity: 3, Since: "2.8.13",
			Flags:   command.Connection | command.Admin | command.NoScript | command.Loading | command.StaleOK,
			Summary: "Draws the latencies of an event.",
			Args:    []command.Arg{command.String("event")},
		},
		{
			Name: "latency|help", Group: "server", Arity: 2, Since: "2.8.13",
			Flags:   command.Connection | command.Loading | command.StaleOK | command.Help,
			Summary: "Answers this overview.",
		},
		{
			Name: "latency|histogram", Group: "server", Arity: -2, Since: "7.0.0",
			Flags:   command.Connection | command.Admin | command.NoScript | command.Loading | command.StaleOK,
			Summary: "Answers how long commands took, as histograms.",
			Args:    []command.Arg{command.Opt(command.Many(command.String("command")))},
		},
		{
			Name: "latency|history", Group: "server", Arity: 3, Since: "2.8.13",
			Flags:   command.Connection | command.Admin | command.NoScript | command.Loading | command.StaleOK,
			Summary: "Answers the latencies of an event over time.",
			Args:    []command.Arg{command.String("event")},
		},
		{
			Name: "latency|latest", Group: "server", Arity: 2, Since: "2.8.13",
			Flags:   command.Connection | command.Admin | command.NoScript | command.Loading | command.StaleOK,
			Summary: "Answers the newest latency of each event.",
		},
		{
			Name: "latency|reset", Group: "server", Arity: -2, Since: "2.8.13",
			Flags:   command.Connection | command.Admin | command.NoScript | command.Loading | command.StaleOK,
			Summary: "Forgets latencies.",
			Args:    []command.Arg{command.Opt(command.Many(command.String("event")))},
		},
	},
}

var specWait = &command.Spec{
	Name: "wait", Group: "generic", Arity: 3, Since: "3.0.0",
	Flags: command.Connection | command.NoScript, ACL: []string{"connection"},
	Summary: "Answers the number of replicas that have the writes of this connection: an acknowledged write is on a quorum.",
	Args:    []command.Arg{command.Integer("numreplicas"), command.Integer("timeout")},
}

// secretSetting: one whose values Redis keeps out of its slow log. A client may send one
// that is none of ours.
func secretSetting(name string) bool {
	return slices.Contains([]string{"requirepass", "masterauth", "masteruser", "tls-key-file-pass", "tls-client-key-file-pass"}, name)
}
