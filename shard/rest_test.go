package shard

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/shard/session"
)

// appendLarge appends so many bytes to a key.
func appendLarge(key string, bytes int) command.Batch {
	var b command.Batch
	b.Add(command.Args{[]byte("APPEND"), []byte(key), make([]byte, bytes)})
	return b
}

// doubtLarge has a node propose a large batch that gets in doubt while disks are as they are.
func (c *cluster) doubtLarge(id string, b command.Batch) (answer chan error) {
	c.t.Helper()
	release := c.holdLarge()
	defer release()
	answer = make(chan error, 1)
	go func() {
		_, err := c.group(id).Propose(context.Background(), b)
		answer <- err
	}()
	c.eventually(func() error {
		if n := c.waitingLarge(id); n != 1 {
			return fmt.Errorf("%d large batches wait", n)
		}
		return nil
	})
	p, s := c.group(c.leader()).packer, c.group(id).session
	if f := s.TakeLarge(); f != nil { // it waits on this node
		s.Fail(f, true)
		return answer
	}
	p.DropLarge(session.ErrDoubt)
	return answer
}

// TestInDoubtWithoutRoom: a batch in doubt that no disk has room for is not sent again and
// again, is in nobody's way, and is applied once when there is room.
func TestInDoubtWithoutRoom(t *testing.T) {
	const reserve = 8 << 20
	c := newFullDisks(t, 3, patient, func(o *Options) { o.DiskReserve = reserve })
	leader := c.leader()
	for i, id := range []string{leader, c.others(leader)[0]} {
		g, big, other := c.group(id), fmt.Sprint("big", i), fmt.Sprint("other", i)
		c.set(reserve+(6<<20), c.ids...) // 12 MiB beyond the part that is kept
		c.eventually(func() error {
			for _, from := range c.ids {
				g := c.group(from)
				if spare := g.spare(leader, keepsAny); g.room() != roomy || spare < reserve || spare > 2*reserve {
					return fmt.Errorf("%s: %d bytes to spare", from, spare)
				}
			}
			return nil
		})
		answer := c.doubtLarge(id, appendLarge(big, 16<<20))
		c.eventually(func() error {
			if g.session.Figures().Resting != 1 {
				return errors.New("it does not rest")
			}
			return nil
		})
		for range 3 {
			if _, err := g.Propose(t.Context(), appendLarge(other, 3<<19)); err != nil {
				t.Fatalf("another large write through %s: %v", id, err)
			}
			c.want(id, "SET small x", "+OK\r\n")
		}
		c.want(id, "STRLEN "+other, fmt.Sprintf(":%d\r\n", 9<<19))
		if tries := g.session.Figures().Tries; tries > 2 {
			t.Errorf("%s tried %d times, though it was told that there is no room", id, tries)
		}
		c.eventually(func() error {
			if n := testutil.ToFloat64(g.metrics.node.disk.refused.WithLabelValues("0")); n != 1 {
				return fmt.Errorf("%v refusals are counted", n)
			}
			return nil
		})
		if len(answer) > 0 {
			t.Errorf("a write in doubt was answered: %v", <-answer)
		}
		c.set(2*testReserve, c.ids...)
		if err := <-answer; err != nil {
			t.Error(err)
		}
		c.want(id, "STRLEN "+big, fmt.Sprintf(":%d\r\n", 16<<20))
		if left := g.session.Figures(); left.Resting != 0 || left.Bytes != 0 {
			t.Errorf("left over: %+v", left)
		}
	}
	c.agree()
}
