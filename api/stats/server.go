package stats

import (
	"slices"
	"strings"
	"sync/atomic"

	"github.com/lockstepkv/lockstep/fsm/command"
)

// Server is what a node counts, from its start or the last CONFIG RESETSTAT.
type Server struct {
	commands []*Command // by name
	Errors   Errors
	Rate     Rate

	Connections, RejectedConnections atomic.Int64
	Hits, Misses                     atomic.Int64
	NetIn, NetOut                    atomic.Int64
	OutputCuts                       atomic.Int64 // clients that did not read their replies
}

// New returns counters for all commands and subcommands of a table.
func New(specs []*command.Spec) *Server {
	s := new(Server)
	for _, sp := range specs {
		s.commands = append(s.commands, &Command{Spec: sp})
		for _, sub := range sp.Sub {
			s.commands = append(s.commands, &Command{Spec: sub})
		}
	}
	slices.SortFunc(s.commands, func(a, b *Command) int { return strings.Compare(a.Name(), b.Name()) })
	return s
}

// Commands returns all commands and subcommands by name. The slice must not be changed.
func (s *Server) Commands() []*Command { return s.commands }

// Command finds "get" or "config|get" in any case, or nil.
func (s *Server) Command(name string) *Command {
	i, found := slices.BinarySearchFunc(s.commands, strings.ToLower(name), func(c *Command, name string) int {
		return strings.Compare(c.Name(), name)
	})
	if !found {
		return nil
	}
	return s.commands[i]
}

// Reset sets all to zero.
func (s *Server) Reset() {
	for _, c := range s.commands {
		c.reset()
	}
	s.Errors.reset()
	for _, n := range []*atomic.Int64{&s.Connections, &s.RejectedConnections, &s.Hits, &s.Misses, &s.NetIn, &s.NetOut, &s.OutputCuts} {
		n.Store(0)
	}
}

// Rate counts commands per second of the clock, in a few slots that are used
// in turn. Where two add at the turn of a second, some may be lost: the figure is
// for people to read.
type Rate struct {
	slots [4]struct{ second, count atomic.Int64 }
}

// Add counts n commands in a second.
func (o *Rate) Add(second, n int64) {
	slot := &o.slots[second&3]
	if old := slot.second.Load(); old != second && slot.second.CompareAndSwap(old, second) {
		slot.count.Store(0)
	}
	slot.count.Add(n)
}

// LastSecond returns how many commands ended in the second before now.
func (o *Rate) LastSecond(now int64) int64 {
	slot := &o.slots[(now-1)&3]
	if slot.second.Load() != now-1 {
		return 0
	}
	return slot.count.Load()
}
