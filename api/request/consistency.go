package request

import "github.com/lockstepkv/lockstep/fsm/command"

// ConsistencyOf returns the level of consistency that a client names; the default is the
// strict one.
func ConsistencyOf(word string) (level command.Consistency, known bool) {
	switch word {
	case "", "linearizable":
		return command.Linearizable, true
	case "stale":
		return command.Stale, true
	}
	return 0, false
}
