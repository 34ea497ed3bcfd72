package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/lockstepkv/lockstep/internal/procs"
)

// upOptions are the arguments of up; -1 is not given.
type upOptions struct {
	nodes, shards, offset int
	fresh                 bool
	flags                 []string
	flagsGiven            bool
}

func parseUp(args []string) (upOptions, error) {
	o := upOptions{nodes: -1, shards: -1, offset: -1}
	words := map[string]string{"--base-port-offset": os.Getenv("LOCKSTEP_BASE_PORT_OFFSET")}
	for len(args) > 0 {
		arg := args[0]
		name, value, joined := strings.Cut(arg, "=")
		switch {
		case arg == "--fresh":
			o.fresh = true
		case arg == "--":
			o.flagsGiven, o.flags = true, args[1:]
			args = args[:1]
		case name == "--nodes" || name == "--shards" || name == "--base-port-offset":
			if !joined {
				if len(args) < 2 {
					return o, badUsage("%s needs a value", arg)
				}
				value, args = args[1], args[1:]
			}
			words[name] = value
		default:
			return o, badUsage("up: unknown argument \"%s\"", arg)
		}
		args = args[1:]
	}
	for _, s := range []struct {
		name        string
		to          *int
		least, most int
	}{{"--nodes", &o.nodes, 1, 9}, {"--shards", &o.shards, 1, 256}, {"--base-port-offset", &o.offset, 0, 56000}} {
		if words[s.name] == "" {
			continue
		}
		var err error
		if *s.to, err = wholeNumber(words[s.name], s.least, s.most, s.name); err != nil {
			return o, err
		}
	}
	return o, nil
}

func (c *cluster) up(ctx context.Context, args []string) error {
	o, err := parseUp(args)
	if err != nil {
		return err
	}
	if err := c.lock(ctx); err != nil {
		return err
	}
	if o.fresh {
		if err := c.removeAll(ctx); err != nil {
			return err
		}
	}
	if err := c.settle(o); err != nil {
		return err
	}
	if err := c.build(ctx); err != nil {
		return err
	}
	if err := c.checkMissing(); err != nil {
		return err
	}
	if err := c.startMissing(ctx); err != nil {
		return errors.Join(err, c.undoStart())
	}
	if err := remove(c.path("flags.before")); err != nil {
		return err
	}
	c.printEndpoints()
	return nil
}

// settle joins what the cluster has with what is asked for. What the data was made with is fixed.
func (c *cluster) settle(o upOptions) error {
	if !c.exists() {
		c.nodes, c.shards, c.offset, c.flags = 3, 1, 0, o.flags
		for to, want := range map[*int]int{&c.nodes: o.nodes, &c.shards: o.shards, &c.offset: o.offset} {
			if want >= 0 {
				*to = want
			}
		}
		return c.findPassword()
	}
	if err := c.load(); err != nil {
		return err
	}
	for _, s := range []struct {
		name       string
		have, want int
	}{{"nodes", c.nodes, o.nodes}, {"shards", c.shards, o.shards}, {"base-port-offset", c.offset, o.offset}} {
		if s.want >= 0 && s.want != s.have {
			return fmt.Errorf("the cluster in %s has --%s %d, not %d; --fresh deletes it and begins anew", c.state, s.name, s.have, s.want)
		}
	}
	if !o.flagsGiven {
		return nil
	}
	// Nodes that run have others already, and would show only at their next start what the new
	// ones are worth.
	if !slices.Equal(c.flags, o.flags) {
		for _, n := range c.every() {
			if c.process(n).State() != procs.Down {
				return fmt.Errorf("node %d runs with other serve flags; scripts/cluster down first", n)
			}
		}
	}
	c.flags = o.flags
	return c.findPassword()
}

func (c *cluster) removeAll(ctx context.Context) error {
	if !c.exists() {
		return nil
	}
	if err := c.load(); err != nil {
		return err
	}
	if err := c.stop(ctx, c.every()); err != nil {
		return err
	}
	for _, n := range c.every() {
		if err := os.RemoveAll(c.dir(n)); err != nil {
			return err
		}
	}
	return errors.Join(remove(c.path("settings")), remove(c.path("flags")))
}

// checkMissing refuses what can be told before any node is started.
func (c *cluster) checkMissing() error {
	for _, n := range c.every() {
		switch c.process(n).State() {
		case procs.Down:
			if err := c.checkPorts(n); err != nil {
				return err
			}
		case procs.Paused:
			return fmt.Errorf("node %d is paused; scripts/cluster resume %d", n, n)
		}
	}
	return nil
}

// startMissing saves the settings and starts the nodes that are down. If it fails undoStart takes
// back the settings: the next `up` must not fail by flags or ports that never worked.
func (c *cluster) startMissing(ctx context.Context) error {
	before, err := os.ReadFile(c.path("flags"))
	if err == nil {
		err = errors.Join(remove(c.path("flags.before")), os.WriteFile(c.path("flags.before"), before, 0o600))
	} else if errors.Is(err, os.ErrNotExist) {
		err = remove(c.path("flags.before"))
	}
	if err != nil {
		return err
	}
	if err := c.save(); err != nil {
		return err
	}
	for _, n := range c.every() {
		if c.process(n).State() != procs.Down {
			continue
		}
		c.started = append(c.started, n)
		if err := c.start(n); err != nil {
			return err
		}
	}
	if err := c.waitReady(ctx, c.every()); err != nil {
		return err
	}
	return c.waitWhole(ctx)
}

// undoStart stops what was started. What data was made stays, and with it the number of nodes, of
// shards, and the ports.
func (c *cluster) undoStart() error {
	err := c.stop(context.Background(), c.started) // also after an interruption
	before := os.Rename(c.path("flags.before"), c.path("flags"))
	switch {
	case before == nil:
		return err
	case !errors.Is(before, os.ErrNotExist):
		return errors.Join(err, before)
	case c.hasData():
		return errors.Join(err, c.writeFlags(nil))
	}
	return errors.Join(err, remove(c.path("settings")), remove(c.path("flags")))
}

func (c *cluster) printEndpoints() {
	fmt.Printf("cluster of %d node(s) and %d shard(s) is up, its data and logs are in %s\n", c.nodes, c.shards, c.state)
	for _, n := range c.every() {
		fmt.Printf("  n%d  http://%s  redis://%s\n", n, c.node(n).HTTP, c.node(n).RESP)
	}
	auth := ""
	if os.Getenv("LOCKSTEP_PASSWORD")+os.Getenv("LOCKSTEP_PASSWORD_FILE") != "" {
		auth = " -H 'Authorization: Bearer PASSWORD'"
	}
	fmt.Printf(`try:
  curl -X PUT http://%s/v1/keys/greeting%s -H 'Content-Type: application/json' -d '{"value":"hello"}'
  curl http://%s/v1/keys/greeting%s
`, c.node(1).HTTP, auth, c.node(c.nodes).HTTP, auth)
}
