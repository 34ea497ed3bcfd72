package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/lockstepkv/lockstep/fsm/lock"
)

// Exit codes of `lockstep lock` itself, beside those of the command that it runs.
// They are in the range where timeout(1) and the shell have theirs.
const (
	exitLockUnavailable = 122 // no node answered in time; the command was not run
	exitLockLost        = 123 // the lock was lost, and the command stopped
	exitLockNotGot      = 124 // somebody else holds it; the command was not run
	exitLockUsage       = 125 // bad flags or arguments; the command was not run
	exitLockNotRunnable = 126 // the command cannot be run
	exitLockNoCommand   = 127 // there is no such command
)

// minLockTTL leaves time for three renewals and for ending the command.
const minLockTTL = 500 * time.Millisecond

type lockOptions struct {
	client       clientOptions
	ttl, wait    time.Duration
	killAfter    time.Duration
	minHold      time.Duration
	owner        string
	conflictCode int
	quiet        bool
}

func newLockCommand() *cobra.Command {
	o := lockOptions{conflictCode: exitLockNotGot}
	cmd := &cobra.Command{
		Use:   "lock NAME [flags] -- COMMAND [ARGUMENT...]",
		Short: "Run a command while holding a lock",
		Long: `Run a command while holding a lock, so that of many machines one runs it.

The lock is renewed every third of --ttl. The command finds its fence in
LOCKSTEP_FENCE and the lock's name in LOCKSTEP_LOCK: a write that carries them
("FENCED", or "fence" over HTTP) is refused by the cluster once somebody else has
the lock. When the lock cannot be renewed in time the command's process group gets
SIGTERM, and SIGKILL before the lock can be somebody else's. Signals are passed
on to the command. The lock is released when the command has ended.

Exit codes: that of the command, 128+n if signal n ended it, or
  122 no node answered, the command was not run
  123 the lock was lost, the command was stopped
  124 somebody else holds the lock (or what --conflict-exit-code says)
  125 bad usage   126 the command cannot be run   127 there is no such command

Without a command to run: "lock list" and "lock release --force".`,
		Example: `  lockstep lock nightly --ttl 30s -- /usr/local/bin/report --all
  lockstep lock deploy --wait 10m -- make deploy
  * * * * *  lockstep lock minutely --min-hold 50s --conflict-exit-code 0 --quiet -- job`,
		RunE: func(cmd *cobra.Command, args []string) error { return runLockCommand(cmd, o, args) },
	}
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return withCode(exitLockUsage, err) })
	f := cmd.Flags()
	o.client.register(f)
	f.DurationVar(&o.ttl, "ttl", 30*time.Second, "how long the lock outlives this process when it dies; renewed every third of it")
	f.DurationVar(&o.wait, "wait", 0, "how long to wait in the lock's queue")
	f.DurationVar(&o.killAfter, "kill-after", 0, "when the lock cannot be kept: time between SIGTERM and SIGKILL (default: a quarter of --ttl, at most 5s)")
	f.DurationVar(&o.minHold, "min-hold", 0, "keep the lock at least that long, also when the command ends earlier: for jobs that machines start at slightly different times")
	f.StringVar(&o.owner, "owner", "", "what others see as the holder (default: user, host and process id)")
	f.IntVar(&o.conflictCode, "conflict-exit-code", exitLockNotGot, "exit code when somebody else holds the lock")
	f.BoolVar(&o.quiet, "quiet", false, "say nothing when somebody else holds the lock")
	addLockOperations(cmd, os.Args)
	return cmd
}

func runLockCommand(cmd *cobra.Command, o lockOptions, args []string) error {
	if cmd.Flags().Changed("kill-after") && o.killAfter == 0 {
		return withCode(exitLockUsage, errors.New("--kill-after: the command needs time to end"))
	}
	if err := o.validate(cmd.ArgsLenAtDash(), args); err != nil {
		return withCode(exitLockUsage, err)
	}
	client, err := newLockClient(o, args[0])
	if err != nil {
		return withCode(exitLockUsage, err)
	}
	err = holdAndRun(cmd.Context(), client, o, args[1:])
	var coded *codedError
	if o.quiet && errors.As(err, &coded) && errors.Is(coded.err, errLockHeld) {
		coded.err = errSilent
	}
	return err
}

// errSilent has an exit code and nothing to say.
var errSilent = errors.New("")

func (o *lockOptions) validate(dash int, args []string) error {
	switch {
	case dash != 1 || len(args) < 2:
		return errors.New("usage: lockstep lock NAME [flags] -- COMMAND [ARGUMENT...]")
	case checkLockName(args[0]) != nil:
		return checkLockName(args[0])
	case o.ttl < minLockTTL:
		return fmt.Errorf("--ttl: %v is less than %v", o.ttl, minLockTTL)
	case o.wait < 0 || o.minHold < 0 || o.killAfter < 0:
		return errors.New("--wait, --min-hold and --kill-after cannot be negative")
	case o.killAfter > o.ttl/2:
		return fmt.Errorf("--kill-after: %v is more than half of --ttl", o.killAfter)
	case o.conflictCode < 0 || o.conflictCode > 255:
		return errors.New("--conflict-exit-code: it takes 0 to 255")
	}
	if o.killAfter == 0 {
		o.killAfter = min(o.ttl/4, 5*time.Second)
	}
	if o.owner == "" {
		host, _ := os.Hostname()
		o.owner = os.Getenv("USER") + "@" + host + ":" + strconv.Itoa(os.Getpid())
	}
	return nil
}

// checkLockName refuses what is no name for a lock before a node does.
func checkLockName(name string) error {
	if name == "" || len(name) > lock.MaxNameBytes {
		return lock.ErrName
	}
	return nil
}

// holdAndRun is the whole of the command: lock, run, unlock.
func holdAndRun(ctx context.Context, c *lockClient, o lockOptions, args []string) error {
	path, err := findCommand(args[0])
	if err != nil {
		return err // before anybody else has to wait for us
	}
	if err := c.acquire(ctx, o); err != nil {
		return err
	}
	started := time.Now()
	status, err := runHolding(c, o, path, args)
	if exitCode(err) != exitLockLost {
		c.letGo(o.minHold - time.Since(started))
	}
	if err != nil {
		return err
	}
	if status != 0 {
		return withCode(status, errSilent)
	}
	return nil
}
