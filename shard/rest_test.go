package shard

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/lockstepkv/lockstep/fsm"
	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/resp"
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
	p, o := c.group(c.leader()).packer, c.group(id).origin
	if f := o.takeLarge(); f != nil { // it waits on this node
		o.fail(f, true)
		return answer
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, in := range p.bulk {
		in.err = errDoubt
		close(in.done)
	}
	p.bulk = nil
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
			if g.origin.resting() != 1 {
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
		o := g.origin
		o.mu.Lock()
		tries := o.large.flights[0].refused
		o.mu.Unlock()
		if tries > 2 {
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
		if g.origin.resting() != 0 || o.bytes != 0 {
			t.Errorf("left over: %d batches, %d bytes", g.origin.resting(), o.bytes)
		}
	}
	c.agree()
}

// roomToldBy is what a test says about room.
type roomToldBy struct{ fit, asked, told chan bool }

func (r roomToldBy) fits(*fsm.Batch) bool {
	r.asked <- true
	return <-r.fit
}

func (r roomToldBy) restsNow(_ *fsm.Batch, first bool) { r.told <- first }

// TestRestedBatchIsPassed: up to a bound, by batches that do not claim that it is resolved.
func TestRestedBatchIsPassed(t *testing.T) {
	o := testOrigin()
	kicked := make(chan struct{}, 100)
	o.kick = func() { kicked <- struct{}{} }
	room := roomToldBy{make(chan bool, 1), make(chan bool, 9), make(chan bool, 9)}
	o.disks = room
	done := make(chan error, 9)
	propose := func() {
		_, err := o.propose(t.Context(), appendBatch("x"))
		done <- err
	}
	next := func() *flight {
		go propose()
		<-kicked
		return o.take(1 << 20)
	}
	f := next()
	o.fail(f, true)
	<-kicked
	if o.take(1<<20) != f {
		t.Fatal("a batch in doubt has to go again")
	}
	o.refuse(f, errFull)
	<-kicked
	if first := <-room.told; !first || !o.idle() {
		t.Errorf("first %v, idle %v", first, o.idle())
	}
	g := next()
	if g == nil || g == f || g.batch.Acked >= f.batch.Seq {
		t.Fatalf("%+v went instead of the next one", g)
	}
	o.resolve(g, fsm.BatchResult{Replies: []resp.Value{resp.BulkString(string(make([]byte, passedBytes)))}})
	if err := <-done; err != nil {
		t.Error(err)
	}
	if propose(); !errors.Is(<-done, command.ErrNoRoom) {
		t.Error("more passed than replies may be kept of")
	}
	<-room.asked
	room.fit <- true
	<-kicked
	if o.take(1<<20) != f || o.resting() != 1 {
		t.Fatal("there is room, and it was not sent")
	}
	o.resolve(f, fsm.BatchResult{Replies: []resp.Value{resp.OK}})
	if err := <-done; err != nil || o.resting() != 0 {
		t.Errorf("%v, %d rest", err, o.resting())
	}
	if f := next(); f == nil || f.batch.Acked != 2 || !slices.Equal(o.small.flights, []*flight{f}) {
		t.Error("the next one is kept back")
	}
}
