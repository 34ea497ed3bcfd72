package router_test

import (
	"fmt"
	"testing"

	"github.com/lockstepkv/lockstep/api/router"
	"github.com/lockstepkv/lockstep/api/router/routertest"
	"github.com/lockstepkv/lockstep/fsm/command"
)

// TestWrappedCommandThatCannotRunIsNotProposed: without a leader it would be in doubt.
func TestWrappedCommandThatCannotRunIsNotProposed(t *testing.T) {
	r, node, s := newRouter(t, routertest.Options{}, router.Config{})
	node.Shard(0).Fail(fmt.Errorf("%w: no leader", command.ErrInDoubt))
	script(t, r, s, `
		ONCE id GET k => -ERR ONCE takes a command that writes to keys
		ONCE id FLUSHALL => -ERR ONCE takes a command that writes to keys
		ONCE '' SET k v => -ERR idempotency id must have 1 to 256 bytes
		ONCE id SET k => -ERR wrong number of arguments for 'set' command
		ONCE id SET k v NONSENSE => -ERR syntax error
		ONCE id FENCED l 1 INCRBY k x => -ERR value is not an integer or out of range
		ONCE id FENCED l 0 INCR k => -ERR fence must be 1 to 9223372036854775807
		FENCED l 1 PING => -ERR FENCED takes a command on keys
		FENCED l 1 FENCED l 1 SET k v => -ERR FENCED does not go into another FENCED
		FENCED l 1 SET k v NONSENSE => -ERR syntax error
	`)
	node.Shard(0).Fail(nil)
	script(t, r, s, `
		ONCE id SET k v => +OK
		FENCED l 1 GET k => v
		MULTI => +OK
		FENCED l 1 SET k v NONSENSE => +QUEUED
		EXEC => [-ERR syntax error]
	`)
}
