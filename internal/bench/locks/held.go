package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	lockstep "github.com/lockstepkv/lockstep/client"
)

// held takes many locks and renews each every third of its ttl, evenly spread
// over that time, and prints what that costs each node.
func held(o options) error {
	clients, err := dialAll(o.endpoints, o.connections)
	if err != nil {
		return err
	}
	defer closeAll(clients)
	name := func(i int) string { return fmt.Sprintf("bench:held:%d", i) }
	tokens := make([]string, o.locks)
	var group errgroup.Group
	for w, c := range clients {
		group.Go(func() (err error) {
			for i := w; i < o.locks && err == nil; i += len(clients) {
				tokens[i], err = c.lock(name(i), max(o.ttl, time.Minute)) // taking all of them may last
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	before, err := costs(o)
	if err != nil {
		return err
	}
	began := time.Now()
	every := o.ttl / 3 * time.Duration(len(clients)) / time.Duration(o.locks) // between renewals of one connection
	for w, c := range clients {
		group.Go(func() error {
			tick := time.NewTicker(every)
			defer tick.Stop()
			for i := w; time.Since(began) < o.duration; <-tick.C {
				if err := c.yes("LOCKRENEW", name(i), tokens[i], millis(o.ttl)); err != nil {
					return err
				}
				if i += len(clients); i >= o.locks {
					i = w
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return report(o, before, time.Since(began))
}

// cost is what a node has used since its start.
type cost struct {
	cpu      time.Duration
	logBytes float64
}

func report(o options, before []cost, elapsed time.Duration) error {
	after, err := costs(o)
	if err != nil {
		return err
	}
	for i := range after {
		fmt.Printf("held %s cpu_percent %.1f log_bytes_per_s %.0f\n", o.endpoints[i],
			100*(after[i].cpu-before[i].cpu).Seconds()/elapsed.Seconds(), (after[i].logBytes-before[i].logBytes)/elapsed.Seconds())
	}
	return nil
}

func costs(o options) ([]cost, error) {
	if len(o.pids) != len(o.endpoints) || len(o.metrics) != len(o.endpoints) {
		return nil, fmt.Errorf("held needs -pids and -metrics of all %d nodes", len(o.endpoints))
	}
	list := make([]cost, len(o.pids))
	for i := range list {
		var err error
		if list[i].cpu, err = cpuTime(o.pids[i]); err != nil {
			return nil, err
		}
		if list[i].logBytes, err = metric(o.metrics[i], `lockstep_shard_disk_bytes_total{op="store",`); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// clockTicks is what Linux counts CPU time in, per second.
const clockTicks = 100

// cpuTime is the CPU time of a process, see proc_pid_stat(5).
func cpuTime(pid string) (time.Duration, error) {
	text, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0, fmt.Errorf("/proc/%s/stat has %d fields", pid, len(fields))
	}
	var ticks int64
	for _, f := range fields[11:13] { // user and system time
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return 0, err
		}
		ticks += n
	}
	return time.Duration(ticks) * time.Second / clockTicks, nil
}

// metric adds up the samples whose lines begin with prefix.
func metric(addr, prefix string) (sum float64, err error) {
	c, err := lockstep.NewHTTP([]string{addr}, lockstep.Options{Timeout: 10 * time.Second})
	if err != nil {
		return 0, err
	}
	defer c.Close()
	answer, err := c.Do(context.Background(), lockstep.Request{Method: "GET", Path: "/metrics"})
	if err != nil {
		return 0, err
	}
	found := false
	for line := range strings.Lines(string(answer.Body)) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, prefix) {
			continue
		}
		found = true
		n, err := strconv.ParseFloat(line[strings.LastIndexByte(line, ' ')+1:], 64)
		if err != nil {
			return 0, err
		}
		sum += n
	}
	if !found {
		return 0, fmt.Errorf("%s has no metric %s", addr, prefix)
	}
	return sum, nil
}
