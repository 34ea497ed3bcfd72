package cluster

import "github.com/lockstepkv/lockstep/fsm/command"

// Commands lists the view of the shards that cluster clients ask for.
func Commands(*command.Table) []*command.Spec {
	return []*command.Spec{
		specCluster,
	}
}

var specCluster = &command.Spec{
	Name: "cluster", Group: "cluster", Arity: -2, Since: "3.0.0",
	Flags:   command.Connection,
	Summary: "Shows the shards as Redis Cluster shows them.",
	Sub: []*command.Spec{
		{
			Name: "cluster|countkeysinslot", Group: "cluster", Arity: 3, Since: "3.0.0",
			Flags:   command.Connection | command.ClusterOnly | command.StaleOK,
			Summary: "Answers the number of keys in a slot.",
			Args:    []command.Arg{command.Integer("slot")},
		},
		{
			Name: "cluster|getkeysinslot", Group: "cluster", Arity: 4, Since: "3.0.0",
			Flags:   command.Connection | command.ClusterOnly | command.StaleOK,
			Summary: "Answers some keys in a slot.",
			Args:    []command.Arg{command.Integer("slot"), command.Integer("count")},
		},
		{
			Name: "cluster|help", Group: "cluster", Arity: 2, Since: "5.0.0",
			Flags:   command.Connection | command.ClusterOnly | command.Loading | command.StaleOK | command.Help,
			Summary: "Answers this overview.",
		},
		{
			Name: "cluster|info", Group: "cluster", Arity: 2, Since: "3.0.0",
			Flags:   command.Connection | command.ClusterOnly | command.StaleOK,
			Summary: "Answers the state of the cluster.",
		},
		{
			Name: "cluster|keyslot", Group: "cluster", Arity: 3, Since: "3.0.0",
			Flags:   command.Connection | command.ClusterOnly | command.StaleOK,
			Summary: "Answers the slot of a key.",
			Args:    []command.Arg{command.String("key")},
		},
		{
			Name: "cluster|myid", Group: "cluster", Arity: 2, Since: "3.0.0",
			Flags:   command.Connection | command.ClusterOnly | command.StaleOK,
			Summary: "Answers the id of this node.",
		},
		{
			Name: "cluster|nodes", Group: "cluster", Arity: 2, Since: "3.0.0",
			Flags:   command.Connection | command.ClusterOnly | command.StaleOK,
			Summary: "Describes the nodes, one a line.",
		},
		{
			Name: "cluster|shards", Group: "cluster", Arity: 2, Since: "7.0.0",
			Flags:   command.Connection | command.ClusterOnly | command.StaleOK,
			Summary: "Describes the shards.",
		},
		{
			Name: "cluster|slots", Group: "cluster", Arity: 2, Since: "3.0.0",
			Flags:   command.Connection | command.ClusterOnly | command.StaleOK,
			Summary: "Answers which nodes serve which slots.",
		},
	},
}
