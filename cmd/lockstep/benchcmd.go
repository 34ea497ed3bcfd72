package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/lockstepkv/lockstep/internal/config"
	"github.com/lockstepkv/lockstep/internal/histogram"
)

// benchOptions describe a load.
type benchOptions struct {
	resp        respOptions
	connections int
	pipeline    int
	duration    time.Duration
	getShare    float64
	valueBytes  int
	keys        int
	json        bool
}

func newBenchCommand() *cobra.Command {
	var o benchOptions
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Load a cluster with SET and GET and print throughput and latency",
		Long: `Load a cluster with SET and GET over the Redis protocol and print throughput
and latency. Every connection keeps one pipeline of commands in flight; the
latency of a command is that of its whole pipeline. A sharded cluster is asked
for its slots first, and every connection then speaks to one node about that
node's keys. Error replies do not count as operations. The keys are named bench:0
and so on and stay behind.`,
		Args: cobra.NoArgs,
		RunE: action(func(ctx context.Context, cmd *cobra.Command, _ []string) error {
			if err := o.check(); err != nil {
				return withCode(exitUsage, err)
			}
			report, err := runBench(ctx, o)
			if err != nil {
				return err
			}
			if o.json {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(report)
			}
			return report.print(cmd.OutOrStdout())
		}),
	}
	fs := cmd.Flags()
	o.resp.register(fs)
	fs.IntVarP(&o.connections, "connections", "c", 50, "connections")
	fs.IntVarP(&o.pipeline, "pipeline", "P", 1, "commands in flight per connection")
	fs.DurationVar(&o.duration, "duration", 10*time.Second, "how long to load")
	fs.Float64Var(&o.getShare, "get-share", 0.5, "share of GET among the commands, 0 to 1; the rest is SET")
	fs.IntVar(&o.valueBytes, "value-size", 64, "bytes of a value")
	fs.IntVar(&o.keys, "keys", 100_000, "number of keys")
	fs.BoolVar(&o.json, "json", false, "print JSON")
	return cmd
}

func (o benchOptions) check() error {
	switch {
	case o.connections < 1 || o.connections > 100_000:
		return config.Mistake("connections", "%d is not within 1 to 100000", o.connections)
	case o.pipeline < 1 || o.pipeline > 100_000:
		return config.Mistake("pipeline", "%d is not within 1 to 100000", o.pipeline)
	case o.duration <= 0:
		return config.Mistake("duration", "%v must be positive", o.duration)
	case !(o.getShare >= 0 && o.getShare <= 1):
		return config.Mistake("get-share", "%v is not within 0 to 1", o.getShare)
	case o.valueBytes < 0 || o.valueBytes > config.MaxMaxValueBytes:
		return config.Mistake("value-size", "%d is not within 0 to 512 MiB", o.valueBytes)
	case o.keys < 1:
		return config.Mistake("keys", "%d is less than 1", o.keys)
	case len(o.resp.addrs) == 0:
		return config.Mistake("resp", "needs an address")
	}
	return nil
}

// benchReport is what a run found.
type benchReport struct {
	Connections int               `json:"connections"`
	Pipeline    int               `json:"pipeline"`
	ValueBytes  int               `json:"value_bytes"`
	Seconds     float64           `json:"seconds"`
	Operations  []benchLine       `json:"operations"`
	Errors      map[string]uint64 `json:"errors,omitempty"` // by error code
}

// benchLine is one row; latencies are in milliseconds.
type benchLine struct {
	Name      string  `json:"name"`
	Count     uint64  `json:"count"`
	PerSecond float64 `json:"per_second"`
	Mean      float64 `json:"mean_ms"`
	P50       float64 `json:"p50_ms"`
	P95       float64 `json:"p95_ms"`
	P99       float64 `json:"p99_ms"`
	P999      float64 `json:"p99_9_ms"`
	Max       float64 `json:"max_ms"`
}

func newBenchLine(name string, h *histogram.Durations, elapsed time.Duration) benchLine {
	millis := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	return benchLine{
		Name: name, Count: h.Count(), PerSecond: float64(h.Count()) / elapsed.Seconds(),
		Mean: millis(h.Mean()), P50: millis(h.Quantile(0.5)), P95: millis(h.Quantile(0.95)),
		P99: millis(h.Quantile(0.99)), P999: millis(h.Quantile(0.999)), Max: millis(h.Max()),
	}
}

func (r benchReport) print(out io.Writer) error {
	fmt.Fprintf(out, "%d connections, pipeline %d, values of %d bytes, %.1f s\n\n", r.Connections, r.Pipeline, r.ValueBytes, r.Seconds)
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "OPERATION\tCOUNT\tPER SECOND\tMEAN ms\tP50\tP95\tP99\tP99.9\tMAX\t")
	for _, l := range r.Operations {
		fmt.Fprintf(w, "%s\t%d\t%.0f\t%.3f\t%.3f\t%.3f\t%.3f\t%.3f\t%.3f\t\n", l.Name, l.Count, l.PerSecond, l.Mean, l.P50, l.P95, l.P99, l.P999, l.Max)
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("print report: %w", err)
	}
	if n := r.Errors["MOVED"]; n > 0 {
		fmt.Fprintf(out, "\n%d commands were redirected because a leader had changed; they do not count\n", n)
		delete(r.Errors, "MOVED")
	}
	if len(r.Errors) == 0 {
		return nil
	}
	var list []string
	exit := exitFailed
	if len(r.Operations) == 0 {
		exit = exitUnavailable // unless a reply says otherwise
	}
	for _, code := range slices.Sorted(maps.Keys(r.Errors)) {
		list = append(list, fmt.Sprintf("%d %s", r.Errors[code], code))
		if !isNotYet(code) {
			exit = exitFailed
		}
	}
	return withCode(exit, errors.New("error replies: "+strings.Join(list, ", ")))
}
