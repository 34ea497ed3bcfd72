package router_test

import (
	"testing"

	"github.com/lockstepkv/lockstep/api/router"
	"github.com/lockstepkv/lockstep/api/router/routertest"
)

// TestListsOfSeveralShards: what is on two keys needs them in one slot.
func TestListsOfSeveralShards(t *testing.T) {
	r, _, s := newRouter(t, routertest.Options{Shards: 3}, router.Config{})
	script(t, r, s, `
		RPUSH {a}1 x y z => 3
		LMOVE {a}1 {a}2 LEFT RIGHT => x
		RPOPLPUSH {a}1 {a}2 => z
		LRANGE {a}2 0 -1 => [z x]
		LMPOP 2 {a}0 {a}2 LEFT COUNT 5 => [{a}2 [z x]]
		LMOVE a b LEFT RIGHT => -CROSSSLOT Keys in request don't hash to the same slot
		RPOPLPUSH a b => -CROSSSLOT Keys in request don't hash to the same slot
		LMPOP 2 a b LEFT => -CROSSSLOT Keys in request don't hash to the same slot
		LMPOP 0 a LEFT => -ERR numkeys should be greater than 0
		LMPOP 3 a LEFT => -ERR syntax error
		COMMAND GETKEYS LMPOP 2 a b LEFT => [a b]
		COMMAND GETKEYS LMOVE a b LEFT RIGHT => [a b]
		MULTI => +OK
		LPUSH {a}1 v => +QUEUED
		LPUSH {a}3 w => +QUEUED
		LMPOP 2 {a}3 {a}1 RIGHT => +QUEUED
		EXEC => [2 1 [{a}3 [w]]]
	`)
}
