package cluster

import (
	"os/exec"

	"github.com/lockstepkv/lockstep/internal/procs"
)

// process is one running node.
type process struct {
	*procs.Process
	killed bool // by the harness; guarded by Node.mu
}

func startProcess(cmd *exec.Cmd, logFile string) (*process, error) {
	p, err := procs.Start(cmd, logFile)
	return &process{Process: p}, err
}
