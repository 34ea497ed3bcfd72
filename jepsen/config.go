package jepsen

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"github.com/lockstepkv/lockstep/jepsen/nemesis"
)

// Config says what to run.
//
// 22 fields: the flags of `lockstep-jepsen run`.
type Config struct {
	Workload string
	Faults   []string // names or groups of package nemesis
	Nodes    int
	Shards   int
	Duration time.Duration // of the faults
	Seed     uint64
	Out      string // directory for everything that the run leaves
	Workers  int    // per node
	Pause    time.Duration
	ReadMode string   // quorum or lease
	Engine   string   // of the log
	Flags    []string // further flags of `lockstep serve`
	Network  string   // one of the kinds of package cluster

	Binary string // built with the tag harness; empty: built from Root
	Root   string // of the repository
	Tags   string // for the build, besides harness

	Env              []string      // further environment of the nodes
	MinHold, MaxHold time.Duration // of each fault; 0: the nemesis's own
	// EndEarly: the checker looks at the history all the time, and the run ends
	// when it has found something.
	EndEarly bool

	CommandLine []string // as it was called, for the report
	Log         func(format string, args ...any)
}

// Limits of what a cluster of this size can be asked.
func (c *Config) validate() error {
	switch {
	case c.Nodes != 3 && c.Nodes != 5:
		return fmt.Errorf("--nodes %d: it takes 3 or 5", c.Nodes)
	case c.Shards < 1 || c.Shards > 16:
		return fmt.Errorf("--shards %d: it takes 1 to 16", c.Shards)
	case c.Duration < 2*time.Second:
		return fmt.Errorf("--duration %v: it takes at least 2s", c.Duration)
	case c.Workers < 1 || c.Workers > 100:
		return fmt.Errorf("--workers %d: it takes 1 to 100 per node", c.Workers)
	case c.Pause < 0 || c.Pause > time.Minute:
		return fmt.Errorf("--pause %v: it takes 0 to 1m", c.Pause)
	case c.MinHold < 0 || c.MaxHold < c.MinHold:
		return fmt.Errorf("faults that last %v to %v: the bounds are wrong", c.MinHold, c.MaxHold)
	case c.Out == "":
		return errors.New("--out: a directory is needed")
	}
	return nil
}

// errUsed is returned for a directory that has an earlier run in it.
var errUsed = errors.New("has the data or the logs of another run; name another directory, or remove it")

// unused refuses a directory in which nodes would find the data of an earlier run,
// and the report its logs.
func unused(dir string) error {
	if _, err := os.Lstat(filepath.Join(dir, "data")); err == nil {
		return fmt.Errorf("--out %s: it %w", dir, errUsed)
	}
	list, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("--out: %w", err)
	}
	for _, e := range list {
		if filepath.Ext(e.Name()) == ".log" {
			return fmt.Errorf("--out %s: it %w", dir, errUsed)
		}
	}
	return nil
}

// errNoProgram is returned for a binary that cannot be run.
var errNoProgram = errors.New("not a program that can be run")

// runnable has the binary tell its version, so that a wrong one is not taken for a
// cluster that does not start.
func runnable(ctx context.Context, binary string) error {
	path, err := filepath.Abs(binary)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, runnablePatience)
	defer cancel()
	if out, err := exec.CommandContext(ctx, path, "version").CombinedOutput(); err != nil {
		return fmt.Errorf("--binary %s: %w: %w: %.200s", binary, errNoProgram, err, out)
	}
	return nil
}

// Timeouts of the run. Nodes give up on requests before clients do, so that they
// can still say whether something happened.
const (
	requestTimeout   = 2 * time.Second
	clientTimeout    = 4 * time.Second
	startPatience    = 2 * time.Minute
	recoverPatience  = 60 * time.Second
	agreePatience    = 30 * time.Second
	finalPatience    = 60 * time.Second
	runnablePatience = 10 * time.Second
	earlyEvery       = 2 * time.Second
	maxClockOffset   = 500 * time.Millisecond

	// Lifetimes may differ by this on one machine with one clock. Where clocks are
	// set wrong, one that is not noticed, or two that agree, may move the clock of the
	// log by --max-clock-offset, once in each direction, and it is steered at a tenth. When a majority was
	// started again at that time, nobody knows how long it was down, and the clock
	// stays behind by as much until a quorum agrees. Locks count the monotonic time of
	// the leader: only its rate matters, which drifts by up to 4 %.
	oneClock    = 50 * time.Millisecond
	wrongClocks = 2*maxClockOffset + 400*time.Millisecond
	lostTime    = 4 * time.Second
	wrongRates  = oneClock + 250*time.Millisecond
)

// serveFlags are the flags of every node.
func (c *Config) serveFlags(workload []string) []string {
	stall := "15s" // frozen processes and busy machines are no failing disks
	if slices.Contains(c.Faults, nemesis.HangingFsync) && c.Seed%2 == 0 {
		stall = "2s" // the node ends; with other seeds a hanging disk costs the leadership alone
	}
	flags := []string{
		"--request-timeout", requestTimeout.String(), "--read-mode", c.ReadMode, "--log-engine", c.Engine,
		"--max-clock-offset", maxClockOffset.String(),
		"--disk-stall-timeout", stall,
	}
	if slices.Contains(c.Faults, nemesis.Snapshots) {
		flags = append(flags, "--snapshot-log-bytes", "16kb")
	}
	return append(append(flags, workload...), c.Flags...)
}
