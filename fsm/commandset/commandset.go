// Package commandset is the list of all commands of Lockstep: one line for each group, in the
// order in which COMMAND and docs/commands.md show them.
package commandset

import (
	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/fsm/command/bits"
	"github.com/lockstepkv/lockstep/fsm/command/cluster"
	"github.com/lockstepkv/lockstep/fsm/command/compound"
	"github.com/lockstepkv/lockstep/fsm/command/connection"
	"github.com/lockstepkv/lockstep/fsm/command/hashes"
	"github.com/lockstepkv/lockstep/fsm/command/hll"
	"github.com/lockstepkv/lockstep/fsm/command/keys"
	"github.com/lockstepkv/lockstep/fsm/command/lists"
	"github.com/lockstepkv/lockstep/fsm/command/locks"
	"github.com/lockstepkv/lockstep/fsm/command/server"
	"github.com/lockstepkv/lockstep/fsm/command/strings"
	"github.com/lockstepkv/lockstep/fsm/command/transactions"
	"github.com/lockstepkv/lockstep/fsm/command/versions"
)

// New returns the table of all commands.
func New() *command.Table {
	return command.NewTable(
		strings.Commands,
		hashes.Commands,
		lists.Commands,
		bits.Commands,
		hll.Commands,
		keys.Commands,
		connection.Commands,
		server.Commands,
		cluster.Commands,
		transactions.Commands,
		versions.Commands,
		locks.Commands,
		compound.Commands,
	)
}
