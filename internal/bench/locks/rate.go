package main

import (
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
)

// rate lets every connection take and release a lock of its own, over and over.
func rate(o options) error {
	clients, err := dialAll(o.endpoints, o.connections)
	if err != nil {
		return err
	}
	defer closeAll(clients)
	took := make([][]time.Duration, len(clients))
	began := time.Now()
	var group errgroup.Group
	for i, c := range clients {
		group.Go(func() error {
			name := fmt.Sprintf("bench:%d", i)
			for time.Since(began) < o.duration {
				start := time.Now()
				token, err := c.lock(name, time.Minute)
				if err != nil {
					return err
				}
				if err := c.yes("UNLOCK", name, token); err != nil {
					return err
				}
				took[i] = append(took[i], time.Since(start))
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	elapsed, all := time.Since(began), slices.Concat(took...)
	fmt.Printf("rate %.0f p50_us %d p99_us %d\n", float64(len(all))/elapsed.Seconds(), quantile(all, 50).Microseconds(), quantile(all, 99).Microseconds())
	return nil
}

// quantile sorts list and returns the value that percent of it are not above.
func quantile(list []time.Duration, percent int) time.Duration {
	if len(list) == 0 {
		return 0
	}
	slices.Sort(list)
	return list[(len(list)-1)*percent/100]
}
