package procs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Detached is a process that outlives who started it. Its id is in a file. The id may belong to
// another program by now, so the process is known by an argument that no other has.
type Detached struct {
	PidFile  string
	Argument string
}

// Start starts cmd in a session of its own, which the keys of a terminal do not reach, with its
// output appended to a file, and notes its id. Nothing else of this program is inherited.
func (d Detached) Start(cmd *exec.Cmd, logFile string) error {
	out, err := os.OpenFile(logFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o666)
	if err != nil {
		return err
	}
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	return errors.Join(os.WriteFile(d.PidFile, fmt.Appendln(nil, cmd.Process.Pid), 0o666), cmd.Process.Release())
}

// Pid is the process id, 0 when it does not run.
func (d Detached) Pid() int {
	text, err := os.ReadFile(d.PidFile)
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || pid <= 0 || !hasArgument(pid, d.Argument) {
		return 0
	}
	return pid
}

// State tells what the process is doing.
func (d Detached) State() State {
	if pid := d.Pid(); pid != 0 {
		return StateOf(pid)
	}
	return Down
}

// Signal sends a signal. Errors: os.ErrProcessDone.
func (d Detached) Signal(s syscall.Signal) error {
	pid := d.Pid()
	if pid == 0 {
		return os.ErrProcessDone
	}
	return syscall.Kill(pid, s)
}

// Kill is kill -9. It returns when the process is gone: who restarts a node needs its ports.
// Errors: os.ErrProcessDone, that of the context.
func (d Detached) Kill(ctx context.Context) error {
	if err := d.Signal(syscall.SIGKILL); err != nil {
		return err
	}
	return d.gone(ctx, 20*time.Millisecond)
}

// gone waits for the end of the process and forgets its id.
func (d Detached) gone(ctx context.Context, every time.Duration) error {
	for d.Pid() != 0 {
		if !Sleep(ctx, every) {
			return context.Cause(ctx)
		}
	}
	if err := os.Remove(d.PidFile); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// Stop ends processes together with SIGTERM, also those that are paused, and with SIGKILL those
// that do not go in time; late is told their index. Errors: that of the context.
func Stop(ctx context.Context, list []Detached, patience time.Duration, late func(i int)) error {
	for _, d := range list {
		_ = d.Signal(syscall.SIGTERM) // what has ended needs no signal
		_ = d.Signal(syscall.SIGCONT)
	}
	deadline := time.Now().Add(patience)
	for i, d := range list {
		until, cancel := context.WithDeadline(ctx, deadline)
		err := d.gone(until, 50*time.Millisecond)
		cancel()
		if err != nil && ctx.Err() == nil {
			late(i)
			_ = d.Signal(syscall.SIGKILL)
			err = d.gone(ctx, 50*time.Millisecond)
			deadline = time.Now().Add(patience)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Sleep waits, and reports false when ctx has ended instead.
func Sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}
