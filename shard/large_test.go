package shard

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/lockstepkv/lockstep/fsm/command"
)

// largeBatch stores a value that goes in fragments.
func largeBatch(key string) command.Batch {
	var b command.Batch
	b.Add(command.Args{[]byte("SET"), []byte(key), make([]byte, 3<<20)})
	return b
}

// holdLarge makes the leader behave as if a large entry were on its way, until release.
func (c *cluster) holdLarge() (release func()) {
	return c.group(c.leader()).packer.HoldLarge()
}

// waitingLarge is how many large batches wait at the leader, or on node.
func (c *cluster) waitingLarge(node string) int {
	return c.group(c.leader()).packer.LargeWaiting() + c.group(node).session.Figures().PendingLarge
}

// TestLargeValuesDoNotHoldUpOthers: while one is on its way others wait for it, and small
// requests, of the same node or another one, do not.
func TestLargeValuesDoNotHoldUpOthers(t *testing.T) {
	c := newCluster(t, 3, patient)
	leader := c.leader()
	for _, id := range []string{leader, c.others(leader)[0]} {
		release := c.holdLarge()
		answers := make(chan error, 3)
		for i := range cap(answers) {
			go func() {
				_, err := c.group(id).Propose(t.Context(), largeBatch(fmt.Sprint("big", i)))
				answers <- err
			}()
		}
		c.eventually(func() error {
			if n := c.waitingLarge(id); n != cap(answers) {
				return fmt.Errorf("%d large batches wait", n)
			}
			return nil
		})
		for _, at := range c.ids {
			for i := range 20 {
				c.want(at, fmt.Sprintf("SET small %d", i), "+OK\r\n")
			}
		}
		if n := len(answers); n > 0 {
			t.Errorf("%d large values were answered", n)
		}
		release()
		for range cap(answers) {
			if err := <-answers; err != nil {
				t.Error(err)
			}
		}
	}
	c.agree()
}

// TestLargeValueIsAppliedOrNot: one whose time is up before the leader has logged all of it
// is taken back, and its caller told so for certain.
func TestLargeValueIsAppliedOrNot(t *testing.T) {
	c := newCluster(t, 3, patient)
	leader := c.leader()
	for i, id := range []string{leader, c.others(leader)[0]} {
		key := fmt.Sprint("big", i)
		release := c.holdLarge()
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		_, err := c.group(id).Propose(ctx, largeBatch(key))
		cancel()
		if !errors.Is(err, command.ErrUnavailable) || errors.Is(err, command.ErrInDoubt) {
			t.Errorf("through %s: %v, want a definite error", id, err)
		}
		release()
		c.want(id, "SET after x", "+OK\r\n")
		if _, err := c.group(id).Propose(t.Context(), largeBatch(key+"next")); err != nil {
			t.Error(err)
		}
		c.want(id, "EXISTS "+key+" "+key+"next", ":1\r\n")
		c.eventually(func() error {
			if left := c.group(id).session.Figures(); left.Bytes != 0 || left.InFlightLarge+left.PendingLarge != 0 {
				return fmt.Errorf("left over: %+v", left)
			}
			return nil
		})
	}
}

// TestLargeReplyIsNotKept until the next large batch of the node.
func TestLargeReplyIsNotKept(t *testing.T) {
	c := newCluster(t, 3, patient)
	leader := c.leader()
	for _, id := range []string{leader, c.others(leader)[0]} {
		key := "big" + id
		if _, err := c.group(id).Propose(t.Context(), largeBatch(key)); err != nil {
			t.Fatal(err)
		}
		var b command.Batch
		b.Add(command.Args{[]byte("SET"), []byte(key), make([]byte, 2<<20), []byte("GET")})
		if replies, err := c.group(id).Propose(t.Context(), b); err != nil || len(replies[0].Str) != 3<<20 {
			t.Fatalf("%v", err)
		}
		c.eventually(func() error {
			for _, at := range c.ids {
				if n := c.group(at).fsm.ReplyBytes(); n > 1<<20 {
					return fmt.Errorf("%s keeps %d bytes of replies", at, n)
				}
			}
			return nil
		})
	}
}
