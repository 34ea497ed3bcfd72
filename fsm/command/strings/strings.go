package strings

import (
	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/resp"
)

// Commands lists the commands on strings.
func Commands(*command.Table) []*command.Spec {
	return []*command.Spec{
		specSet, specSetNX, specSetEX, specPSetEX, specGetSet, specMSet, specMSetNX,
		specGet, specGetEX, specGetDel, specMGet, specStrlen, specGetRange, specSubstr,
		specAppend, specSetRange,
		specIncr, specDecr, specIncrBy, specDecrBy, specIncrByFloat,
		specLCS, specDelIfEq,
	}
}

const (
	errDecrOverflow = resp.Error("ERR decrement would overflow")
	errOffset       = resp.Error("ERR offset is out of range")
)
