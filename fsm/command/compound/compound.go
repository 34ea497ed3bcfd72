package compound

import "github.com/lockstepkv/lockstep/fsm/command"

// Commands lists the commands that hold others, which they find in t.
func Commands(t *command.Table) []*command.Spec {
	return []*command.Spec{onceSpec(t), fencedSpec(t), txnSpec(t)}
}
