package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/lockstepkv/lockstep/internal/procs"
)

func (c *cluster) down(ctx context.Context) error {
	if err := c.lock(ctx); err != nil {
		return err
	}
	if err := c.load(); err != nil {
		return err
	}
	if err := c.stop(ctx, c.every()); err != nil {
		return err
	}
	fmt.Printf("the cluster is down; its data stays in %s\n", c.state)
	return nil
}

// status shows the processes, and what one that serves says of the cluster. It fails unless the
// cluster is whole.
func (c *cluster) status(ctx context.Context) error {
	if err := c.load(); err != nil {
		return err
	}
	whole, answering := true, 0
	for _, n := range c.every() {
		state, ready, pid := c.process(n).State(), "not ready", "-"
		if state == procs.Running && c.ready(ctx, n) {
			ready = "ready"
			if answering == 0 {
				answering = n
			}
		} else {
			whole = false
		}
		if id := c.process(n).Pid(); id != 0 {
			pid = strconv.Itoa(id)
		}
		fmt.Printf("n%d  %s  %s  pid %s\n", n, state, ready, pid)
	}
	if answering != 0 {
		fmt.Println()
		cmd := exec.CommandContext(ctx, c.binary, "cluster", "status", "--endpoint", "http://"+c.node(answering).HTTP, "--timeout", "5s")
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		whole = cmd.Run() == nil && whole
	}
	if !whole {
		return errStatus
	}
	return nil
}

// chosen are the numbers of the nodes that args name, in order, each once: a node that is started
// twice is one that nothing stops any more.
func (c *cluster) chosen(args []string) ([]int, error) {
	if len(args) == 0 {
		return nil, badUsage("which node? give its number")
	}
	var list []int
	for _, arg := range args {
		if arg == "all" {
			list = append(list, c.every()...)
			continue
		}
		n, err := wholeNumber(strings.TrimPrefix(arg, "n"), 1, c.nodes, "the node")
		if err != nil {
			return nil, err
		}
		list = append(list, n)
	}
	slices.Sort(list)
	return slices.Compact(list), nil
}

func (c *cluster) signal(ctx context.Context, s syscall.Signal, word string, args []string) error {
	if err := c.load(); err != nil {
		return err
	}
	list, err := c.chosen(args)
	if err != nil {
		return err
	}
	for _, n := range list {
		if s == syscall.SIGKILL {
			err = c.process(n).Kill(ctx)
		} else {
			err = c.process(n).Signal(s)
		}
		switch {
		case errors.Is(err, os.ErrProcessDone):
			return fmt.Errorf("node %d does not run", n)
		case err != nil:
			return fmt.Errorf("node %d cannot be signalled", n)
		}
		fmt.Printf("node %d %s\n", n, word)
	}
	return nil
}

func (c *cluster) restart(ctx context.Context, args []string) error {
	if err := c.lock(ctx); err != nil {
		return err
	}
	if err := c.load(); err != nil {
		return err
	}
	list, err := c.chosen(args)
	if err != nil {
		return err
	}
	if err := c.stop(ctx, list); err != nil {
		return err
	}
	if err := c.build(ctx); err != nil {
		return err
	}
	for _, n := range list {
		if err := c.start(n); err != nil {
			return err
		}
	}
	running := 0
	for _, n := range c.every() {
		// A node of the list that has ended already is waitReady's to report.
		if slices.Contains(list, n) || c.process(n).State() == procs.Running {
			running++
		}
	}
	if running*2 <= c.nodes {
		fmt.Printf("started: %s; only %d of %d nodes run, so nothing can be served yet\n", strings.Trim(fmt.Sprint(list), "[]"), running, c.nodes)
		return nil
	}
	if err := c.waitReady(ctx, list); err != nil {
		return err
	}
	for _, n := range list {
		fmt.Printf("node %d serves\n", n)
	}
	return nil
}

// logs becomes tail.
func (c *cluster) logs(args []string) error {
	if err := c.load(); err != nil {
		return err
	}
	if len(args) == 0 {
		return badUsage("logs: which node?")
	}
	list, err := c.chosen(args[:1])
	if err != nil {
		return err
	}
	if len(list) != 1 {
		return badUsage("logs: one node at a time")
	}
	log := c.dir(list[0]) + "/log"
	if _, err := os.Stat(log); err != nil {
		return fmt.Errorf("node %d has no log yet", list[0])
	}
	tail := []string{"tail", "-n", "200", log}
	switch {
	case len(args) < 2 || args[1] == "":
	case args[1] == "-f":
		tail = []string{"tail", "-n", "50", "-f", log}
	default:
		return badUsage("logs: unknown argument \"%s\"", args[1])
	}
	path, err := exec.LookPath("tail")
	if err != nil {
		return err
	}
	return syscall.Exec(path, tail, os.Environ())
}
