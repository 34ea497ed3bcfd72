package main

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
)

const queueName = "bench:queue"

// grantOf is what a waiter notes.
type grantOf struct {
	waiter        int
	fence         int64
	got, released time.Time // released: when UNLOCK was sent
}

// handOver lets clients of all nodes wait for one lock. Each gets it, notes when,
// and releases it at once.
func handOver(o options) error {
	var gaps []time.Duration
	disorder := 0
	for range o.rounds {
		grants, err := queueOnce(o)
		if err != nil {
			return err
		}
		for i := 1; i < len(grants); i++ {
			gaps = append(gaps, grants[i].got.Sub(grants[i-1].released))
			if grants[i].waiter != i || grants[i].fence <= grants[i-1].fence || grants[i].got.Before(grants[i-1].released) {
				disorder++
			}
		}
	}
	fmt.Printf("handover p50_us %d p99_us %d max_us %d samples %d out_of_order %d\n",
		quantile(gaps, 50).Microseconds(), quantile(gaps, 99).Microseconds(), quantile(gaps, 100).Microseconds(), len(gaps), disorder)
	return nil
}

// queueOnce returns the grants in the order of their fences. Number 0 is the
// holder that the waiters wait for.
func queueOnce(o options) ([]grantOf, error) {
	clients, err := dialAll(o.endpoints, o.waiters+1)
	if err != nil {
		return nil, err
	}
	defer closeAll(clients)
	token, err := clients[0].lock(queueName, time.Minute)
	if err != nil {
		return nil, err
	}
	granted := make(chan grantOf, len(clients))
	var group errgroup.Group
	for i, c := range clients[1:] {
		if err := c.send("LOCK", queueName, millis(time.Minute), "WAIT", millis(patience)); err != nil {
			return nil, err
		}
		if err := awaitWaiters(clients[0], i+1); err != nil { // so that the order is known
			return nil, err
		}
		group.Go(func() error {
			token, fence, err := c.grant()
			if err != nil {
				return err
			}
			now := time.Now()
			g := grantOf{waiter: i + 1, fence: fence, got: now, released: now}
			if err := c.yes("UNLOCK", queueName, token); err != nil {
				return err
			}
			granted <- g
			return nil
		})
	}
	order := []grantOf{{released: time.Now()}}
	if err := clients[0].yes("UNLOCK", queueName, token); err != nil {
		return nil, err
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	close(granted)
	for g := range granted {
		order = append(order, g)
	}
	slices.SortFunc(order, func(a, b grantOf) int { return cmp.Compare(a.fence, b.fence) })
	return order, nil
}

func awaitWaiters(c *client, want int) error {
	for deadline := time.Now().Add(patience); ; {
		info, err := c.do("LOCKINFO", queueName)
		switch {
		case err != nil:
			return err
		case len(info.Elems) == 14 && info.Elems[13].Int == int64(want):
			return nil
		case time.Now().After(deadline):
			return fmt.Errorf("there are not %d waiters", want)
		}
	}
}
