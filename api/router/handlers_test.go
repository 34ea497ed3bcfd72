package router

import (
	"testing"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/fsm/commandset"
)

// TestHandlersAreThoseOfTheTable: the names under which handlers stand are those of commands
// that need one, and none of these is without.
func TestHandlersAreThoseOfTheTable(t *testing.T) {
	left := handlers()
	r := &Router{cluster: true}
	visit := func(sp, container *command.Spec) {
		needs := sp.Flags.Has(command.Connection) && len(sp.Sub) == 0 && !sp.Flags.Has(command.RunsQueue)
		if h := r.handlerOf(left, sp, container); needs && h.run == nil {
			t.Errorf("nothing runs %s", sp.Name)
		}
		if sp.Flags.Has(command.Connection) {
			delete(left, sp.Name)
		}
	}
	for _, sp := range commandset.New().Specs() {
		visit(sp, nil)
		for _, sub := range sp.Sub {
			visit(sub, sp)
		}
	}
	for name := range left {
		t.Errorf("there is no command %s for the router to run", name)
	}
}
