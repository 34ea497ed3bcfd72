package commandset

import (
	"testing"

	"github.com/lockstepkv/lockstep/fsm/command/commandtest"
)

// TestStoreOfWholeValues: LS.STORE under the terms of LS.PUT, and what it refuses.
func TestStoreOfWholeValues(t *testing.T) {
	ctx := commandtest.NewCtx(New())
	const words = "-ERR the number of words must be that of some elements, of "
	commandtest.RunExchanges(t, ctx, []commandtest.Exchange{
		{"LS.STORE h hash 4 a 1 b 2 NX", "*2\r\n:1\r\n:0\r\n"},
		{"LS.STORE h hash 2 a 1 NX", "-CONDITION the key exists\r\n"},
		{"LS.STORE h hash 2 a 1 IFVERSION 7", "-CONDITION the key has version 1\r\n"},
		{"HGETALL h", "*4\r\n$1\r\na\r\n$1\r\n1\r\n$1\r\nb\r\n$1\r\n2\r\n"},
		{"LS.STORE h list 3 a b a IFVERSION 1 PX 1000", "*2\r\n:2\r\n:1700000001000\r\n"},
		{"LRANGE h 0 -1", "*3\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\na\r\n"},
		{"LS.GET h", "*4\r\n$4\r\nlist\r\n*3\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\na\r\n:2\r\n:1000\r\n"},
		{"LS.STORE h list 1 x KEEPTTL", "*2\r\n:3\r\n:1700000001000\r\n"},
		{"LS.STORE h hash 3 a 1 b", words + "2 each\r\n"},
		{"LS.STORE h hash 0 a", words + "2 each\r\n"},
		{"LS.STORE h list -1 a", words + "1 each\r\n"},
		{"LS.STORE h list 2 a", words + "1 each\r\n"},
		{"LS.STORE h list 1 a b", "-ERR syntax error\r\n"},
		{"LS.STORE h list x a", "-ERR value is not an integer or out of range\r\n"},
		{"LS.STORE h string 1 a", "-ERR there is no such type, or its values are not stored as a whole\r\n"},
	})
}
