// Package commandset is the list of all commands that a state machine runs: one line for each
// group, in the order in which COMMAND and docs/commands.md show them. A node adds those that it
// answers by itself (package api/rooms).
package commandset

import (
	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/fsm/command/bits"
	"github.com/lockstepkv/lockstep/fsm/command/compound"
	"github.com/lockstepkv/lockstep/fsm/command/hashes"
	"github.com/lockstepkv/lockstep/fsm/command/hll"
	"github.com/lockstepkv/lockstep/fsm/command/keys"
	"github.com/lockstepkv/lockstep/fsm/command/lists"
	"github.com/lockstepkv/lockstep/fsm/command/locks"
	"github.com/lockstepkv/lockstep/fsm/command/queries"
	"github.com/lockstepkv/lockstep/fsm/command/sets"
	"github.com/lockstepkv/lockstep/fsm/command/strings"
	"github.com/lockstepkv/lockstep/fsm/command/versions"
	"github.com/lockstepkv/lockstep/fsm/command/zsets"
)

//go:generate go generate ../../api/rooms

// New returns the table of all commands of state machines, and of more groups.
func New(more ...command.Group) *command.Table {
	return command.NewTable(append([]command.Group{
		strings.Commands,
		hashes.Commands,
		lists.Commands,
		sets.Commands,
		zsets.Commands,
		bits.Commands,
		hll.Commands,
		keys.Commands,
		versions.Commands,
		locks.Commands,
		compound.Commands,
		queries.Commands,
	}, more...)...)
}
