package procs

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// starter starts every process from one thread that lives as long as this program:
// PDEATHSIG is sent when the thread that started a process ends.
var starter = sync.OnceValue(func() chan<- func() {
	jobs := make(chan func())
	go func() {
		runtime.LockOSThread()
		for job := range jobs {
			job()
		}
	}()
	return jobs
})

// StartTied is cmd.Start for a process that the kernel kills when this program ends.
func StartTied(cmd *exec.Cmd) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	result := make(chan error, 1)
	starter() <- func() { result <- cmd.Start() }
	return <-result
}

// Process is a process that this program has started. It is safe for concurrent use.
type Process struct {
	cmd   *exec.Cmd
	ended chan struct{}
}

// Start starts cmd, tied to this program, with its output appended to a file.
func Start(cmd *exec.Cmd, logFile string) (*Process, error) {
	out, err := os.OpenFile(logFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	return Adopt(cmd)
}

// Adopt is Start for a command whose output goes elsewhere.
func Adopt(cmd *exec.Cmd) (*Process, error) {
	if err := StartTied(cmd); err != nil {
		return nil, err
	}
	p := &Process{cmd: cmd, ended: make(chan struct{})}
	go func() {
		_ = cmd.Wait() // ProcessState tells
		close(p.ended)
	}()
	return p, nil
}

// Pid is the process id.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Ended is closed when the process has ended.
func (p *Process) Ended() <-chan struct{} { return p.ended }

// Running reports whether the process has not ended yet.
func (p *Process) Running() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// ExitCode waits for the end; -1 is a signal.
func (p *Process) ExitCode() int {
	<-p.ended
	return p.cmd.ProcessState.ExitCode()
}

// Wait returns the exit code, or an error when the process goes on running.
func (p *Process) Wait(patience time.Duration) (code int, err error) {
	select {
	case <-p.ended:
		return p.ExitCode(), nil
	case <-time.After(patience):
		return 0, fmt.Errorf("process %d still runs after %v", p.Pid(), patience)
	}
}

// Signal sends a signal; one that has ended needs none.
func (p *Process) Signal(s os.Signal) error {
	if err := p.cmd.Process.Signal(s); !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	return nil
}

// Kill is kill -9. It returns when the process is gone.
func (p *Process) Kill() error {
	if err := p.Signal(syscall.SIGKILL); err != nil {
		return err
	}
	<-p.ended
	return nil
}

// Pause is SIGSTOP; it returns when the kernel says that the process stands still.
// Errors: os.ErrProcessDone.
func (p *Process) Pause() error {
	if !p.Running() {
		return os.ErrProcessDone
	}
	if err := p.Signal(syscall.SIGSTOP); err != nil {
		return err
	}
	return waitStopped(p.Pid())
}

// Resume is SIGCONT.
func (p *Process) Resume() error { return p.Signal(syscall.SIGCONT) }
