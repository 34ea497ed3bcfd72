package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"
)

// options of all measurements.
type options struct {
	endpoints   []string // Redis addresses, all nodes
	metrics     []string // HTTP addresses, in the same order
	pids        []string // of the nodes' processes, in the same order
	connections int
	waiters     int
	rounds      int
	locks       int
	ttl         time.Duration
	duration    time.Duration
}

var errUsage = errors.New("usage: locks rate|handover|held [flags]; locks rate -h shows the flags")

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "locks:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 0 {
		return errUsage
	}
	measure, known := map[string]func(options) error{"rate": rate, "handover": handOver, "held": held}[args[0]]
	if !known {
		return errUsage
	}
	var o options
	fs := flag.NewFlagSet(args[0], flag.ContinueOnError)
	endpoints := fs.String("endpoints", "127.0.0.1:7001,127.0.0.1:7002,127.0.0.1:7003", "Redis `addresses` of all nodes")
	metrics := fs.String("metrics", "127.0.0.1:8001,127.0.0.1:8002,127.0.0.1:8003", "HTTP `addresses` of all nodes, for held")
	pids := fs.String("pids", "", "process `ids` of all nodes, for held")
	fs.IntVar(&o.connections, "connections", 50, "connections, spread over the nodes")
	fs.IntVar(&o.waiters, "waiters", 100, "clients that wait for one lock, for handover")
	fs.IntVar(&o.rounds, "rounds", 5, "times that all of them get it, for handover")
	fs.IntVar(&o.locks, "locks", 10000, "locks, for held")
	fs.DurationVar(&o.ttl, "ttl", 30*time.Second, "how long a lock is held unless renewed, for held; renewed every third of it")
	fs.DurationVar(&o.duration, "duration", 5*time.Second, "how long to measure, for rate and held")
	if err := fs.Parse(args[1:]); err != nil {
		return err
	}
	o.endpoints, o.metrics = strings.Split(*endpoints, ","), strings.Split(*metrics, ",")
	if *pids != "" {
		o.pids = strings.Split(*pids, ",")
	}
	if o.connections < 1 || o.waiters < 1 || o.rounds < 1 || o.locks < o.connections || o.ttl < time.Second || o.duration <= 0 {
		return fmt.Errorf("counts must be positive, there must be a lock for each connection, and the ttl at least 1s")
	}
	return measure(o)
}
