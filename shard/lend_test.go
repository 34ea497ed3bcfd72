package shard

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/lockstepkv/lockstep/fsm"
	"github.com/lockstepkv/lockstep/fsm/command"
)

// stored returns the value of key on a node.
func (c *cluster) stored(node, key string) (v []byte) {
	c.group(node).fsm.View(fsm.Stamp{}, func(ctx *command.Ctx) {
		if e := ctx.Lookup([]byte(key)); e != nil {
			v = e.Bytes()
		}
	})
	return v
}

// TestLargeValueStaysWhereItCame: the node that a client gave a large value to keeps that
// memory, as follower and as leader, if the value is all that lies in it.
func TestLargeValueStaysWhereItCame(t *testing.T) {
	c := newCluster(t, 3, patient)
	leader := c.leader()
	for _, id := range []string{leader, c.others(leader)[0]} {
		if c.keeps(id, false) {
			t.Errorf("through %s: kept, though other things lie in the same memory", id)
		}
		// The others may have agreed before a follower sees the first fragment: then its request is
		// over, and the value is assembled once, too.
		c.eventually(func() error {
			if !c.keeps(id, true) {
				return fmt.Errorf("through %s: copied", id)
			}
			return nil
		})
	}
	c.agree()
}

// keeps writes a large value through a node, and reports whether it lies where it came.
func (c *cluster) keeps(node string, whole bool) bool {
	c.t.Helper()
	value := bytes.Repeat([]byte(node), 2<<20)
	b := command.Batch{Whole: whole}
	b.Add(command.Args{[]byte("SET"), []byte("big"), value})
	if _, err := c.group(node).Propose(c.t.Context(), b); err != nil {
		c.t.Fatal(err)
	}
	c.want(node, "STRLEN big", ":4194304\r\n")
	got := c.stored(node, "big")
	if !bytes.Equal(got, value) {
		c.t.Fatalf("through %s: %d bytes, want %d", node, len(got), len(value))
	}
	return &got[0] == &value[0]
}
