package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// forwarded are the signals that are passed on to the command.
var forwarded = []os.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2}

func findCommand(name string) (string, error) {
	path, err := exec.LookPath(name)
	switch {
	case err == nil || errors.Is(err, exec.ErrDot):
		return path, nil
	case errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EISDIR):
		return "", withCode(exitLockNotRunnable, err)
	}
	return "", withCode(exitLockNoCommand, err)
}

// runHolding runs the command for as long as the lock is held, and returns its
// exit code.
func runHolding(c *lockClient, o lockOptions, path string, args []string) (status int, err error) {
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, forwarded...)
	defer signal.Stop(signals)
	cmd := &exec.Cmd{Path: path, Args: args, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr}
	cmd.Env = append(withoutSecrets(os.Environ()), "LOCKSTEP_LOCK="+c.name, "LOCKSTEP_FENCE="+strconv.FormatUint(c.fence, 10))
	// A group of its own, so that all that the command starts can be stopped. On a
	// terminal it is the group in front, which the keys go to.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	// Nobody renews the lock for a command that outlives this process.
	dieWithParent(cmd.SysProcAttr)
	if onTerminal() {
		cmd.SysProcAttr.Foreground, cmd.SysProcAttr.Ctty = true, int(os.Stdin.Fd())
	}
	ended, err := startTied(cmd)
	if err != nil {
		return 0, withCode(exitLockNotRunnable, err)
	}
	lost := make(chan error, 1)
	ctx, cancel := context.WithCancel(context.Background())
	keeping := make(chan struct{})
	go func() {
		defer close(keeping)
		if err := keep(ctx, c, o.killAfter); err != nil {
			lost <- err
		}
	}()
	defer func() { cancel(); <-keeping }()
	for {
		select {
		case <-ended:
			return exitStatus(cmd.ProcessState), nil
		case s := <-signals:
			killGroup(cmd, s.(syscall.Signal))
		case err := <-lost:
			stopGroup(cmd, ended, c.until)
			return 0, withCode(exitLockLost, fmt.Errorf("the command was stopped: %w", err))
		}
	}
}

// startTied starts cmd and tells its end. The system watches the thread that
// started a command, not the process, so that thread has to stay.
func startTied(cmd *exec.Cmd) (ended <-chan error, err error) {
	started, end := make(chan error, 1), make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			end <- cmd.Wait()
		}
	}()
	return end, <-started
}

func onTerminal() bool {
	group, err := unix.IoctlGetInt(int(os.Stdin.Fd()), unix.TIOCGPGRP)
	return err == nil && group == unix.Getpgrp()
}

// keep renews the lock until ctx ends. It returns when the lock is lost, or as
// long before it may be lost as the command gets to end.
func keep(ctx context.Context, c *lockClient, margin time.Duration) error {
	next := c.until.Add(-c.ttl * 2 / 3)
	var last error
	for {
		pauseFor(ctx, time.Until(next))
		if ctx.Err() != nil {
			return nil
		}
		stop := c.until.Add(-margin)
		if left := time.Until(stop); left <= 0 {
			return fmt.Errorf("the lock could not be renewed in time: %w", last)
		}
		rctx, cancel := context.WithTimeout(ctx, min(time.Until(stop), max(c.ttl/6, attemptPause)))
		err := c.renew(rctx)
		cancel()
		switch {
		case err == nil:
			next = c.until.Add(-c.ttl * 2 / 3)
		case errors.Is(err, errLockGone):
			return err
		default:
			last, next = err, time.Now().Add(min(attemptPause, max(time.Until(stop), 0)))
		}
	}
}

// killGroup signals the command and what it started.
func killGroup(cmd *exec.Cmd, s syscall.Signal) {
	_ = syscall.Kill(-cmd.Process.Pid, s) // a group that has ended needs no signal
}

// stopGroup ends the command before the lock can be somebody else's.
func stopGroup(cmd *exec.Cmd, ended <-chan error, until time.Time) {
	killGroup(cmd, syscall.SIGTERM)
	killGroup(cmd, syscall.SIGCONT) // one that is stopped does not see the other
	select {
	case <-ended:
	case <-time.After(time.Until(until)):
	}
	killGroup(cmd, syscall.SIGKILL) // also what outlived the command
}

// exitStatus is the exit code in the shell's manner.
func exitStatus(p *os.ProcessState) int {
	if ws, ok := p.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return 128 + int(ws.Signal())
	}
	return p.ExitCode()
}
