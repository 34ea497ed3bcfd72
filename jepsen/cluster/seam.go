package cluster

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
)

// seam is the machine's own network. A build with the tag harness can be told, by a
// file, from which nodes it hears nothing. Connections stay, as with a cable that
// was cut, and what was sent arrives afterwards. Clients are never cut off.
type seam struct {
	dir   string
	nodes int

	mu   sync.Mutex
	base map[Pair]int64 // guarded by mu: counted before the present rules
}

func newSeam(dir string, nodes int) *seam {
	return &seam{dir: dir, nodes: nodes, base: map[Pair]int64{}}
}

func nodeID(node int) string { return fmt.Sprintf("n%d", node+1) }

// heldSuffix is how nodes name the file with their counts.
const heldSuffix = ".held"

func (s *seam) file(node int) string { return filepath.Join(s.dir, nodeID(node)+".cuts") }

func (s *seam) Kind() string {
	return "loopback, without namespaces: connections between nodes are cut in the nodes themselves, those of clients not"
}
func (s *seam) OwnPorts() bool     { return false }
func (s *seam) Host(int) string    { return "127.0.0.1" }
func (s *seam) Env(n int) []string { return []string{"LOCKSTEP_HARNESS_CUTS=" + s.file(n)} }

// Command implements Network.
func (s *seam) Command(_ int, program string, args ...string) *exec.Cmd {
	return exec.Command(program, args...)
}

// Apply implements Network.
func (s *seam) Apply(r Rules) error {
	if r.LossPercent > 0 {
		return ErrNoLoss
	}
	counted, err := s.counted()
	if err != nil {
		return err
	}
	for to := range s.nodes {
		var deaf []string
		for from := range s.nodes {
			if r.Cut[Pair{from, to}] {
				deaf = append(deaf, nodeID(from))
			}
		}
		next := s.file(to) + ".new"
		if err := os.WriteFile(next, []byte(strings.Join(deaf, " ")+"\n"), 0o600); err != nil {
			return err
		}
		if err := os.Rename(next, s.file(to)); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.base = counted
	return nil
}

// counted reads what all nodes have held up. A process that was started again
// counts from 0.
func (s *seam) counted() (map[Pair]int64, error) {
	total := map[Pair]int64{}
	for to := range s.nodes {
		text, err := os.ReadFile(s.file(to) + heldSuffix)
		if os.IsNotExist(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		for line := range strings.Lines(string(text)) {
			var id string
			var n int64
			if _, err := fmt.Sscan(line, &id, &n); err != nil {
				return nil, fmt.Errorf("%s: %q: %w", s.file(to)+heldSuffix, line, err)
			}
			for from := range s.nodes {
				if nodeID(from) == id {
					total[Pair{from, to}] = n
				}
			}
		}
	}
	return total, nil
}

// Dropped implements Network.
func (s *seam) Dropped() (map[Pair]int64, error) {
	total, err := s.counted()
	s.mu.Lock()
	defer s.mu.Unlock()
	for pair, before := range s.base {
		if total[pair] -= before; total[pair] < 0 {
			total[pair] += before
		}
	}
	return total, err
}

func (s *seam) Close() error { return nil }
