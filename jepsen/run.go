package jepsen

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/lockstepkv/lockstep/internal/procs"
	"github.com/lockstepkv/lockstep/jepsen/check"
	"github.com/lockstepkv/lockstep/jepsen/client"
	"github.com/lockstepkv/lockstep/jepsen/cluster"
	"github.com/lockstepkv/lockstep/jepsen/nemesis"
	"github.com/lockstepkv/lockstep/jepsen/report"
	"github.com/lockstepkv/lockstep/jepsen/workload"
)

// run is one test on its way.
type run struct {
	cfg     Config
	start   time.Time
	cluster *cluster.Cluster
	load    workload.Workload
	nemesis *nemesis.Nemesis
	workers []*workload.Worker
	final   *workload.Worker
	out     report.Report
	early   *check.Verdict // the bad one that ended the run before its time
}

// Run runs one test, leaves its report in cfg.Out, and returns it. An error means
// that there is no report.
func Run(ctx context.Context, cfg Config) (*report.Report, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	if err := unused(cfg.Out); err != nil {
		return nil, err
	}
	r := &run{cfg: cfg}
	if err := os.MkdirAll(cfg.Out, 0o755); err != nil {
		return nil, err
	}
	if err := r.prepare(ctx); err != nil {
		return nil, err
	}
	err := r.perform(ctx)
	r.closeWorkers()
	err = errors.Join(err, r.cluster.Close())
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	r.judge()
	return &r.out, r.save()
}

func (r *run) now() time.Duration { return time.Since(r.start) }

func (r *run) say(format string, args ...any) {
	if r.cfg.Log != nil {
		r.cfg.Log(format, args...)
	}
}

// prepare builds what is missing and starts the cluster.
func (r *run) prepare(ctx context.Context) error {
	if r.cfg.Binary == "" {
		tags := "harness"
		if r.cfg.Tags != "" {
			tags += " " + r.cfg.Tags
		}
		r.say("building lockstep with tags %q", tags)
		var err error
		if r.cfg.Binary, err = procs.Build(ctx, r.cfg.Root, r.cfg.Out, tags); err != nil {
			return err
		}
	}
	if err := runnable(ctx, r.cfg.Binary); err != nil {
		return err
	}
	network, err := cluster.ChooseNetwork(r.cfg.Network)
	if err != nil {
		return err
	}
	able := nemesis.Able{Loss: network == cluster.Namespaces, Disks: cluster.CanFailDisks()}
	if r.cfg.Faults, r.out.LeftOut, err = nemesis.Expand(r.cfg.Faults, able); err != nil {
		return err
	}
	if len(r.out.LeftOut) > 0 {
		r.say("left out here: %s", strings.Join(r.out.LeftOut, ", "))
	}
	r.start = time.Now() // until the first operation; see perform
	bound, rates, clockFaults := oneClock, oneClock, nemesis.WrongClocks(r.cfg.Faults)
	if clockFaults {
		bound, rates = wrongClocks, wrongRates
		if nemesis.MajorityRestarts(r.cfg.Faults) {
			bound += lostTime
		}
	}
	r.load, err = workload.New(r.cfg.Workload, workload.Options{
		Now: r.now, Shards: r.cfg.Shards, Workers: r.cfg.Workers * r.cfg.Nodes,
		ClockFaults: clockFaults, ClockBound: bound, RateBound: rates, Page: r.page,
	})
	if err != nil {
		return err
	}
	r.cluster, err = cluster.New(cluster.Options{
		Binary: r.cfg.Binary, Dir: r.cfg.Out, Nodes: r.cfg.Nodes, Shards: r.cfg.Shards,
		Flags: r.cfg.serveFlags(r.load.Flags()), Env: r.cfg.Env,
		Disks: nemesis.NeedsDisks(r.cfg.Faults), Network: network,
	})
	return err
}

// perform is everything that needs the cluster.
func (r *run) perform(ctx context.Context) error {
	r.say("starting %d nodes: %s", r.cfg.Nodes, r.cluster.Net.Kind())
	if err := r.cluster.Start(); err != nil {
		return err
	}
	if err := r.cluster.WaitWhole(ctx, startPatience); err != nil {
		return fmt.Errorf("the cluster did not start: %w", err)
	}
	r.makeWorkers()
	r.start = time.Now()
	r.nemesis = nemesis.New(nemesis.Options{Cluster: r.cluster, Faults: r.cfg.Faults, Seed: r.cfg.Seed, Now: r.now,
		MinHold: r.cfg.MinHold, MaxHold: r.cfg.MaxHold})

	r.say("%s with faults %v for %v, seed %d", r.load.Name(), r.cfg.Faults, r.cfg.Duration, r.cfg.Seed)
	working, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	for _, w := range r.workers {
		wg.Go(func() { r.work(working, w) })
	}
	r.inject(ctx)
	if r.early != nil {
		stop()
		wg.Wait()
		return nil
	}
	r.recover(ctx)
	stop()
	wg.Wait()
	r.readAll(ctx)
	r.compare(ctx)
	return nil
}

// inject has faults for the time of the run.
func (r *run) inject(ctx context.Context) {
	ctx, end := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer end()
	if r.cfg.EndEarly {
		wg.Go(func() {
			r.lookEarly(ctx)
			if r.early != nil {
				end()
			}
		})
	}
	minimum := time.After(r.cfg.Duration)
	r.nemesis.Run(ctx, r.cfg.Duration)
	select { // without faults the nemesis has nothing to do
	case <-ctx.Done():
	case <-minimum:
	}
}

// lookEarly has what was recorded so far judged, again and again, until there is
// an anomaly. Operations on their way are in doubt for the checker, so what it
// finds is no different for what comes later.
func (r *run) lookEarly(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(earlyEvery):
		}
		if v := r.load.Check(); len(v.Anomalies) > 0 {
			r.early = &v
			return
		}
	}
}

// recover heals everything and measures how long the cluster takes to be whole,
// with the workers still at it.
func (r *run) recover(ctx context.Context) {
	healed := r.now()
	r.out.Healed = healed
	err := r.cluster.Heal()
	if err == nil {
		err = r.cluster.WaitWhole(ctx, recoverPatience)
	}
	r.out.Recovery = r.now() - healed
	detail := fmt.Sprintf("whole %v after the last fault was healed", r.out.Recovery.Round(time.Millisecond))
	if err != nil {
		detail = err.Error()
	}
	r.out.Add(Recovery, err == nil, detail)
	r.say("healed; %s", detail)
	select { // a little more load on the healed cluster
	case <-ctx.Done():
	case <-time.After(time.Second):
	}
}

// work lets one worker do step after step.
func (r *run) work(ctx context.Context, w *workload.Worker) {
	for ctx.Err() == nil {
		r.load.Step(ctx, w)
		pause := time.Duration(w.Rand.Int64N(int64(2*r.cfg.Pause) + 1))
		if w.Failures > 0 {
			pause += time.Duration(min(w.Failures, 10)) * 10 * time.Millisecond
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

// makeWorkers gives each node its workers: RESP2, RESP3 and HTTP in turn. The
// last worker of all reads everything in the end.
func (r *run) makeWorkers() {
	protocols := []func(client.Endpoint) client.Client{
		func(e client.Endpoint) client.Client { return client.NewRedis(e, 2) },
		func(e client.Endpoint) client.Client { return client.NewHTTP(e) },
		func(e client.Endpoint) client.Client { return client.NewRedis(e, 3) },
	}
	worker := func(id, protocol, home int) *workload.Worker {
		w := &workload.Worker{ID: id, Rand: rand.New(rand.NewPCG(r.cfg.Seed, uint64(id)+1))}
		for _, n := range r.cluster.Nodes {
			w.All = append(w.All, protocols[protocol%len(protocols)](client.Endpoint{
				Node: n.ID, RESP: n.RESP, HTTP: n.HTTP, Password: cluster.Password, Timeout: clientTimeout,
			}))
		}
		w.Home = w.All[home]
		return w
	}
	for i := range r.cfg.Workers * r.cfg.Nodes {
		r.workers = append(r.workers, worker(i, i/r.cfg.Nodes, i%r.cfg.Nodes))
	}
	r.final = worker(len(r.workers), 0, 0)
}

func (r *run) closeWorkers() {
	for _, w := range append(r.workers, r.final) {
		if w == nil {
			continue
		}
		for _, c := range w.All {
			c.Close()
		}
	}
}

// readAll is the final read of the workload.
func (r *run) readAll(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, finalPatience)
	defer cancel()
	began := len(r.load.Entries())
	r.load.Final(ctx, r.final)
	failed, reads := 0, r.load.Entries()[began:]
	for _, e := range reads {
		if e.Error != "" {
			failed++
		}
	}
	r.out.Add("final reads", failed == 0 && len(reads) > 0, fmt.Sprintf("%d of %d operations on the healed cluster failed", failed, len(reads)))
}

// The names of checks that others ask for.
const (
	Recovery      = "recovery"       // the cluster was whole again after the last fault
	ReplicasAgree = "replicas agree" // at the same index
	NeverDiverged = "never diverged" // by the replicas' own comparing
)

// compare compares the replicas.
func (r *run) compare(ctx context.Context) {
	digests, err := r.cluster.Agree(ctx, agreePatience)
	detail := cluster.Sentence(digests)
	if err != nil {
		detail = err.Error()
	}
	r.out.Add(ReplicasAgree, err == nil, detail)
	r.judgeDiverged()
}

// judgeDiverged looks for replicas that differed and rebuilt themselves: they agree in the
// end, but nothing that happens here is an excuse for it.
func (r *run) judgeDiverged() {
	n := r.countInLogs(divergedWord)
	r.out.Add(NeverDiverged, n == 0, fmt.Sprintf("replicas found themselves different from a majority or from their own sums %d times", n))
}

// divergedWord is in the log of a node whose replica was found to be wrong.
const divergedWord = "REPLICA DIVERGED"

// page keeps a page that a checker drew.
func (r *run) page(name string, content []byte) {
	r.out.Pages = append(r.out.Pages, report.Page{Name: name, HTML: string(content)})
}
