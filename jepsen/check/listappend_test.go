package check

import (
	"testing"

	"github.com/lockstepkv/lockstep/jepsen/history"
)

func TestListAppendNeedsSomethingToJudge(t *testing.T) {
	appends := func(client, call, end int) txnOp {
		txn := Txn{{Key: "l", Append: true, Word: "a"}}
		return at(client, TxnKind, "", call, end, txn, txn)
	}
	reads := func(client, call, end int, list ...string) txnOp {
		return at(client, TxnKind, "", call, end, Txn{{Key: "l"}}, Txn{{Key: "l", List: list}})
	}
	for _, c := range []struct {
		name string
		ops  []txnOp
		want string
	}{
		{"good", in(appends(0, 0, 1), reads(1, 2, 3, "a")), ""},
		{"nothing read", in(appends(0, 0, 1)), "unknown"},
		{"nothing acknowledged", in(appends(0, 0, -1), reads(1, 2, 3, "a")), "unknown"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for i := range c.ops {
				if c.ops[i].Outcome != history.OK {
					c.ops[i].Output = nil
				}
			}
			expect(t, ListAppend(c.ops), c.want)
		})
	}
}
