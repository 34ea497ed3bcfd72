package rooms

import (
	"github.com/lockstepkv/lockstep/api/admin"
	"github.com/lockstepkv/lockstep/api/router"
	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/fsm/commandset"
)

//go:generate go test -run TestCommandsPage -update .

// All returns the rooms.
func All() []router.Room {
	return []router.Room{admin.Room()}
}

// Table returns the table of all commands. State machines have it too, so that a command that
// holds others can say what is wrong with one that is not for the log.
func Table() *command.Table {
	groups := []command.Group{router.Commands}
	for _, room := range All() {
		groups = append(groups, room.Commands)
	}
	return commandset.New(groups...)
}
