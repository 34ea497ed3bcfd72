package cluster

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/lockstepkv/lockstep/client"
	"github.com/lockstepkv/lockstep/internal/procs"
	"github.com/lockstepkv/lockstep/jepsen/faultfs"
)

// State is what a node's process is doing, as the harness has it: what it paused is paused
// until it resumes it.
type State string

// The states of a node.
const (
	Down    State = "down"
	Up      State = "up"
	Stopped State = "paused"
)

// exitFatal is the exit code of a node that no longer trusts its disk. Whoever
// runs nodes is told to start such a node again, and so does the harness.
const exitFatal = 7

// exitFailed is the exit code of a node that could not start, as on a disk that
// fails.
const exitFailed = 1

// exitUsage is the exit code of a node that does not accept its settings.
const exitUsage = 2

// restartPause is how long the harness as supervisor waits before it starts a
// node again that ended by itself.
const restartPause = 300 * time.Millisecond

// Exit tells of a node that ended without being killed.
type Exit struct {
	Node string    `json:"node"`
	At   time.Time `json:"at"`
	Code int       `json:"code"`
	// Expected: the node ended itself on purpose, as documented.
	Expected bool `json:"expected"`
}

// Node is one node of the cluster. Its process comes and goes. Safe for
// concurrent use.
type Node struct {
	procs.Node
	Index              int
	LogFile, ClockFile string
	Disk               *faultfs.Disk // nil: a plain directory
	mount              *faultfs.Mount
	command            func() *exec.Cmd
	admin              *client.HTTP

	mu     sync.Mutex
	proc   *process // guarded by mu
	paused bool     // guarded by mu
	closed bool     // guarded by mu: never start again
	exits  []Exit   // guarded by mu
}

// Start starts the node's process unless it runs.
func (n *Node) Start() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.startLocked()
}

func (n *Node) startLocked() error {
	if n.closed || n.proc != nil && n.proc.Running() {
		return nil
	}
	p, err := startProcess(n.command(), n.LogFile)
	if err != nil {
		return fmt.Errorf("start %s: %w", n.ID, err)
	}
	n.proc, n.paused = p, false
	go n.supervise(p)
	return nil
}

// supervise notes the end of a process, and starts the node again unless the
// harness has killed it.
func (n *Node) supervise(p *process) {
	<-p.Ended()
	n.mu.Lock()
	defer n.mu.Unlock()
	if p.killed || n.closed {
		return
	}
	code := p.ExitCode()
	n.exits = append(n.exits, Exit{Node: n.ID, At: time.Now(), Code: code, Expected: code == exitFatal || code == exitFailed && n.Disk != nil && n.Disk.Troubled()})
	time.AfterFunc(restartPause, func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		if n.proc == p && !p.killed {
			_ = n.startLocked() // readiness will be missed at the end
		}
	})
}

// Kill is kill -9. It returns when the process is gone.
func (n *Node) Kill() error {
	n.mu.Lock()
	p := n.proc
	if p == nil {
		n.mu.Unlock()
		return nil
	}
	p.killed = true
	n.paused = false
	err := p.Signal(syscall.SIGKILL)
	n.mu.Unlock()
	if err == nil {
		<-p.Ended()
	}
	return err
}

// ErrDown is returned for what only a running node can do. Nodes end by
// themselves, for instance when their disk fails.
var ErrDown = errors.New("the node does not run")

// Pause is SIGSTOP; it returns when the kernel says that the process stands still.
// Errors: ErrDown.
func (n *Node) Pause() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.proc == nil || !n.proc.Running() {
		return fmt.Errorf("%w: %s", ErrDown, n.ID)
	}
	err := n.proc.Pause()
	n.paused = !errors.Is(err, os.ErrProcessDone)
	if !n.paused {
		return fmt.Errorf("%w: %s has just ended", ErrDown, n.ID)
	}
	return err
}

// Resume is SIGCONT.
func (n *Node) Resume() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.paused = false
	if n.proc == nil {
		return nil
	}
	return n.proc.Resume()
}

// State tells what the process is doing.
func (n *Node) State() State {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case n.proc == nil || !n.proc.Running():
		return Down
	case n.paused:
		return Stopped
	}
	return Up
}

// Pid is the process id of the newest process, 0 before the first.
func (n *Node) Pid() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.proc == nil {
		return 0
	}
	return n.proc.Pid()
}

// unexpected is the last time that the node ended by itself for no good reason.
func (n *Node) unexpected() *Exit {
	for _, e := range slices.Backward(n.Exits()) {
		if !e.Expected {
			return &e
		}
	}
	return nil
}

// Exits returns when the node ended by itself.
func (n *Node) Exits() []Exit {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.exits)
}

// Wipe removes the data directory. The node must be down.
func (n *Node) Wipe() error {
	if s := n.State(); s != Down {
		return fmt.Errorf("wipe %s: it is %s", n.ID, s)
	}
	if n.Disk != nil {
		return n.remount(n.Disk.Clear)
	}
	return os.RemoveAll(n.DataDir)
}

// SetClock makes the node's clock wrong; it takes a build with the tag harness.
func (n *Node) SetClock(offset time.Duration, rate float64) error {
	next := n.ClockFile + ".new"
	if err := os.WriteFile(next, fmt.Appendf(nil, "%d %g\n", offset.Milliseconds(), rate), 0o600); err != nil {
		return err
	}
	return os.Rename(next, n.ClockFile)
}

// close ends the node for good.
func (n *Node) close() error {
	n.mu.Lock()
	n.closed = true
	n.mu.Unlock()
	n.admin.Close()
	return errors.Join(n.Kill(), n.unmount())
}
