package cluster

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lockstepkv/lockstep/internal/procs"
)

// Starve binds the node's process to one processor and starts others there that
// are always busy. release ends that. Errors: ErrDown.
func (n *Node) Starve(cpu, others int) (release func() error, err error) {
	pid := n.Pid()
	if n.State() == Down {
		return nothing, fmt.Errorf("%w: %s", ErrDown, n.ID)
	}
	var busy []*exec.Cmd
	release = func() error {
		for _, c := range busy {
			_ = c.Process.Kill()
			_ = c.Wait() // it was killed
		}
		return bind(pid, allCPUs())
	}
	for range others {
		c := exec.Command("sh", "-c", "while :; do :; done")
		if err := procs.StartTied(c); err != nil {
			return nothing, errors.Join(err, release())
		}
		busy = append(busy, c)
		if err := bind(c.Process.Pid, oneCPU(cpu)); err != nil {
			return nothing, errors.Join(err, release())
		}
	}
	if err := bind(pid, oneCPU(cpu)); err != nil {
		return nothing, errors.Join(err, release())
	}
	return release, nil
}

func nothing() error { return nil }

func oneCPU(cpu int) *unix.CPUSet {
	set := new(unix.CPUSet)
	set.Set(cpu)
	return set
}

func allCPUs() *unix.CPUSet {
	set := new(unix.CPUSet)
	for cpu := range runtime.NumCPU() {
		set.Set(cpu)
	}
	return set
}

// bind moves all threads of a process, and with them those that they start later.
// A process that is gone is bound to nothing.
func bind(pid int, set *unix.CPUSet) error {
	for range 3 { // threads may be started meanwhile
		tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		for _, t := range tasks {
			tid, err := strconv.Atoi(t.Name())
			if err != nil {
				continue
			}
			if err := unix.SchedSetaffinity(tid, set); err != nil && !errors.Is(err, syscall.ESRCH) {
				return fmt.Errorf("bind thread %d of process %d: %w", tid, pid, err)
			}
		}
	}
	return nil
}

// ProcessorWait is for how long the threads of the node's process were ready to run
// and waited for a processor, all together.
func (n *Node) ProcessorWait() time.Duration {
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", n.Pid()))
	total := time.Duration(0)
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			continue // the thread has ended
		}
		if fields := strings.Fields(string(text)); len(fields) == 3 {
			wait, _ := strconv.ParseInt(fields[1], 10, 64)
			total += time.Duration(wait)
		}
	}
	return total
}
