//go:build failpoints

package failpoint

import (
	"fmt"
	"os"
	"sync"
)

// Enabled says whether this build carries failpoints.
const Enabled = true

// EnvVar holds the failpoints that a process starts with.
const EnvVar = "LOCKSTEP_FAILPOINTS"

// registry is the one piece of global state; it exists only in builds made for tests.
type registry struct {
	once   sync.Once
	mu     sync.RWMutex
	points map[string]*point
}

var points registry

// Inject runs the action attached to name, if any, and returns its error.
func Inject(name string) error {
	points.once.Do(points.fromEnv)
	points.mu.RLock()
	p := points.points[name]
	points.mu.RUnlock()
	if p == nil {
		return nil
	}
	return p.hit()
}

// Enable attaches fn to name until the returned function is called. It replaces an earlier action.
func Enable(name string, fn func() error) (disable func()) {
	return points.set(name, &point{act: fn, remaining: -1})
}

// EnableSpec attaches an action written as in the environment variable, for example `2*error(full)`.
func EnableSpec(name, spec string) (disable func(), err error) {
	p, err := parsePoint(spec)
	if err != nil {
		return nil, fmt.Errorf("failpoint %s: %w", name, err)
	}
	return points.set(name, p), nil
}

func (r *registry) set(name string, p *point) func() {
	r.once.Do(r.fromEnv)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.points[name] = p
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.points[name] == p {
			delete(r.points, name)
		}
	}
}

// fromEnv stops the process on a wrong specification: a fault that silently never happens would make
// a test pass for the wrong reason.
func (r *registry) fromEnv() {
	r.points = make(map[string]*point)
	specs, err := parseEnv(os.Getenv(EnvVar))
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", EnvVar, err)
		os.Exit(2)
	}
	for name, p := range specs {
		r.points[name] = p
	}
}
