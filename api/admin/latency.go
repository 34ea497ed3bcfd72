package admin

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/lockstepkv/lockstep/api/request"
	"github.com/lockstepkv/lockstep/api/router"
	"github.com/lockstepkv/lockstep/api/stats"
	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/resp"
)

// latencyCommands shows what took long, by event and by command.
func latencyCommands() []router.Command[*admin] {
	return []router.Command[*admin]{
		{
			Spec: command.Spec{
				Name: "latency", Group: "server", Arity: -2, Since: "2.8.13",
				Flags:   command.Connection,
				Summary: "Shows latencies.",
			},
			Sub: []router.Command[*admin]{
				{
					Spec: command.Spec{
						Name: "latency|doctor", Group: "server", Arity: 2, Since: "2.8.13",
						Flags:   command.Connection | command.Admin | command.NoScript | command.Loading | command.StaleOK,
						Summary: "Answers a report in words.",
					},
					Run: (*admin).latencyDoctor,
				},
				{
					Spec: command.Spec{
						Name: "latency|graph", Group: "server", Arity: 3, Since: "2.8.13",
						Flags:   command.Connection | command.Admin | command.NoScript | command.Loading | command.StaleOK,
						Summary: "Draws the latencies of an event.",
						Args:    []command.Arg{command.String("event")},
					},
					Run: (*admin).latencyGraph,
				},
				{
					Spec: command.Spec{
						Name: "latency|help", Group: "server", Arity: 2, Since: "2.8.13",
						Flags:   command.Connection | command.Loading | command.StaleOK | command.Help,
						Summary: "Answers this overview.",
					},
				},
				{
					Spec: command.Spec{
						Name: "latency|histogram", Group: "server", Arity: -2, Since: "7.0.0",
						Flags:   command.Connection | command.Admin | command.NoScript | command.Loading | command.StaleOK,
						Summary: "Answers how long commands took, as histograms.",
						Args:    []command.Arg{command.Opt(command.Many(command.String("command")))},
					},
					Run: (*admin).latencyHistogram,
				},
				{
					Spec: command.Spec{
						Name: "latency|history", Group: "server", Arity: 3, Since: "2.8.13",
						Flags:   command.Connection | command.Admin | command.NoScript | command.Loading | command.StaleOK,
						Summary: "Answers the latencies of an event over time.",
						Args:    []command.Arg{command.String("event")},
					},
					Run: (*admin).latencyHistory,
				},
				{
					Spec: command.Spec{
						Name: "latency|latest", Group: "server", Arity: 2, Since: "2.8.13",
						Flags:   command.Connection | command.Admin | command.NoScript | command.Loading | command.StaleOK,
						Summary: "Answers the newest latency of each event.",
					},
					Run: (*admin).latencyLatest,
				},
				{
					Spec: command.Spec{
						Name: "latency|reset", Group: "server", Arity: -2, Since: "2.8.13",
						Flags:   command.Connection | command.Admin | command.NoScript | command.Loading | command.StaleOK,
						Summary: "Forgets latencies.",
						Args:    []command.Arg{command.Opt(command.Many(command.String("event")))},
					},
					Run: (*admin).latencyReset,
				},
			},
		},
	}
}

// latencyHistory is how many samples of an event are kept, as in Redis.
const latencyHistory = 160

// latencyMonitor holds the spikes above latency-monitor-threshold.
type latencyMonitor struct {
	mu     sync.Mutex
	events map[string]*latencyEvent // guarded by mu
}

type latencyEvent struct {
	samples []latencySample // oldest first, one per second
	max     int64
}

type latencySample struct{ at, millis int64 }

func (m *latencyMonitor) add(event string, at, millis int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.events == nil {
		m.events = make(map[string]*latencyEvent)
	}
	e := m.events[event]
	if e == nil {
		e = new(latencyEvent)
		m.events[event] = e
	}
	e.max = max(e.max, millis)
	if n := len(e.samples); n > 0 && e.samples[n-1].at == at {
		e.samples[n-1].millis = max(e.samples[n-1].millis, millis)
		return
	}
	e.samples = append(e.samples, latencySample{at, millis})
	if over := len(e.samples) - latencyHistory; over > 0 {
		e.samples = slices.Delete(e.samples, 0, over)
	}
}

// Spike notes a run of commands that took long.
func (a *admin) Spike(took time.Duration) {
	a.latency.add("command", a.Facts.Now().Unix(), took.Milliseconds())
}

// names returns the events' names in order. The caller holds mu.
func (m *latencyMonitor) names() []string {
	out := make([]string, 0, len(m.events))
	for n := range m.events {
		out = append(out, n)
	}
	slices.Sort(out)
	return out
}

func (a *admin) latencyLatest(_ context.Context, _ *router.Session, _ command.Args) resp.Value {
	m := &a.latency
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []resp.Value
	for _, n := range m.names() {
		e := m.events[n]
		last := e.samples[len(e.samples)-1]
		out = append(out, resp.Array(resp.BulkString(n), resp.Int(last.at), resp.Int(last.millis), resp.Int(e.max)))
	}
	return resp.Array(out...)
}

func (a *admin) latencyHistory(_ context.Context, _ *router.Session, args command.Args) resp.Value {
	m := &a.latency
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.events[string(args[2])]
	if e == nil {
		return resp.EmptyArray
	}
	var out []resp.Value
	for _, s := range e.samples {
		out = append(out, resp.Array(resp.Int(s.at), resp.Int(s.millis)))
	}
	return resp.Array(out...)
}

func (a *admin) latencyReset(_ context.Context, _ *router.Session, args command.Args) resp.Value {
	m := &a.latency
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(args) == 2 {
		n := len(m.events)
		m.events = nil
		return resp.Int(int64(n))
	}
	var n int64
	for _, name := range args[2:] {
		if _, ok := m.events[string(name)]; ok {
			delete(m.events, string(name))
			n++
		}
	}
	return resp.Int(n)
}

func (a *admin) latencyDoctor(_ context.Context, _ *router.Session, _ command.Args) resp.Value {
	if a.Settings.Load().LatencyMonitorThreshold == 0 {
		return resp.Verbatim("Latency monitoring is off. Turn it on with: CONFIG SET latency-monitor-threshold <milliseconds>\n")
	}
	m := &a.latency
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.events) == 0 {
		return resp.Verbatim("No latency spike was seen since the monitor was turned on.\n")
	}
	var b strings.Builder
	for _, n := range m.names() {
		e := m.events[n]
		fmt.Fprintf(&b, "%s: %d spikes, the worst took %d ms.\n", n, len(e.samples), e.max)
	}
	b.WriteString("See SLOWLOG GET for the commands, and the raft and disk metrics under /metrics for where their time went.\n")
	return resp.Verbatim(b.String())
}

// latencyHistogram answers the latency distribution of commands, in
// cumulative buckets of powers of two microseconds.
func (a *admin) latencyHistogram(_ context.Context, _ *router.Session, args command.Args) resp.Value {
	wanted := a.Stats.Commands()
	if len(args) > 2 {
		wanted = nil
		for _, name := range args[2:] {
			wanted = append(wanted, a.withSubcommands(string(name))...)
		}
	}
	var out []resp.Value
	for _, c := range wanted {
		calls := c.Calls.Load()
		if calls == 0 {
			continue
		}
		var hist []resp.Value
		var seen int64
		for i, n := range c.Histogram() {
			if n == 0 {
				continue
			}
			seen += n
			hist = append(hist, resp.Int(1<<i), resp.Int(seen))
		}
		out = append(out, resp.BulkString(c.Name()), resp.Map(
			resp.BulkString("calls"), resp.Int(calls),
			resp.BulkString("histogram_usec"), resp.Map(hist...)))
	}
	return resp.Map(out...)
}

// withSubcommands returns the counters of a command and of its subcommands, none for an unknown one.
func (a *admin) withSubcommands(name string) []*stats.Command {
	c := a.Stats.Command(name)
	if c == nil {
		return nil
	}
	list := []*stats.Command{c}
	for _, sub := range c.Spec.Sub {
		list = append(list, a.Stats.Command(sub.Name))
	}
	return list
}

// latencyGraph draws the samples of an event as bars, one a line.
func (a *admin) latencyGraph(_ context.Context, _ *router.Session, args command.Args) resp.Value {
	const width = 40
	m := &a.latency
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.events[string(args[2])]
	if e == nil {
		return request.CodeError.Reply("No samples available for event '" + request.Clip(args[2], 128) + "'")
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s - high %d ms\n", request.Clip(args[2], 128), e.max)
	for _, s := range e.samples {
		bar := strings.Repeat("#", int(s.millis*width/max(e.max, 1)))
		fmt.Fprintf(&b, "%d %-*s %d ms\n", s.at, width, bar, s.millis)
	}
	return resp.Verbatim(b.String())
}
