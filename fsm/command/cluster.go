package command

// clusterSpecs lists the view of the shards that cluster clients ask for.
func clusterSpecs() []*Spec {
	return []*Spec{
		specCluster,
	}
}

var specCluster = &Spec{
	Name: "cluster", Group: "cluster", Arity: -2, Since: "3.0.0",
	Flags: Connection, ACL: []string{"slow"},
	Summary: "Shows the shards as Redis Cluster shows them.",
	Sub: []*Spec{
		{
			Name: "cluster|countkeysinslot", Group: "cluster", Arity: 3, Since: "3.0.0",
			Flags: Connection | StaleOK, ACL: []string{"slow"},
			Summary: "Answers the number of keys in a slot.",
			Syntax:  "slot",
		},
		{
			Name: "cluster|getkeysinslot", Group: "cluster", Arity: 4, Since: "3.0.0",
			Flags: Connection | StaleOK, ACL: []string{"slow"},
			Summary: "Answers some keys in a slot.",
			Syntax:  "slot count",
		},
		{
			Name: "cluster|help", Group: "cluster", Arity: 2, Since: "5.0.0",
			Flags: Connection | Loading | StaleOK, ACL: []string{"slow"},
			Summary: "Answers this overview.",
		},
		{
			Name: "cluster|info", Group: "cluster", Arity: 2, Since: "3.0.0",
			Flags: Connection | StaleOK, ACL: []string{"slow"},
			Summary: "Answers the state of the cluster.",
		},
		{
			Name: "cluster|keyslot", Group: "cluster", Arity: 3, Since: "3.0.0",
			Flags: Connection | StaleOK, ACL: []string{"slow"},
			Summary: "Answers the slot of a key.",
			Syntax:  "key",
		},
		{
			Name: "cluster|myid", Group: "cluster", Arity: 2, Since: "3.0.0",
			Flags: Connection | StaleOK, ACL: []string{"slow"},
			Summary: "Answers the id of this node.",
		},
		{
			Name: "cluster|nodes", Group: "cluster", Arity: 2, Since: "3.0.0",
			Flags: Connection | StaleOK, ACL: []string{"slow"},
			Summary: "Describes the nodes, one a line.",
		},
		{
			Name: "cluster|shards", Group: "cluster", Arity: 2, Since: "7.0.0",
			Flags: Connection | StaleOK, ACL: []string{"slow"},
			Summary: "Describes the shards.",
		},
		{
			Name: "cluster|slots", Group: "cluster", Arity: 2, Since: "3.0.0",
			Flags: Connection | StaleOK, ACL: []string{"slow"},
			Summary: "Answers which nodes serve which slots.",
		},
	},
}
