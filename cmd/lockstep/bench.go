package main

import (
	"bytes"
	"context"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/lockstepkv/lockstep/client"
	"github.com/lockstepkv/lockstep/internal/histogram"
	"github.com/lockstepkv/lockstep/resp"
)

// benchWorker drives one connection.
type benchWorker struct {
	o     benchOptions
	conn  *respConn
	slots *client.Slots
	node  int
	rng   *rand.Rand
	value []byte

	out    []byte // the pipeline being built
	isGet  []bool // what its commands are
	sets   histogram.Durations
	gets   histogram.Durations
	errors map[string]uint64
}

// runBench loads the cluster until the duration is over or ctx ends.
func runBench(ctx context.Context, o benchOptions) (benchReport, error) {
	slots, err := loadSlots(ctx, o.resp)
	if err != nil {
		return benchReport{}, err
	}
	workers, err := dialWorkers(ctx, o, slots)
	defer func() {
		for _, w := range workers {
			_ = w.conn.close()
		}
	}()
	if err != nil {
		return benchReport{}, err
	}
	start := time.Now()
	ctx, cancel := context.WithTimeout(ctx, o.duration)
	defer cancel()
	var group errgroup.Group
	for _, w := range workers {
		group.Go(func() error { return w.run(ctx) })
	}
	if err := group.Wait(); err != nil {
		return benchReport{}, err
	}
	return summarize(o, workers, time.Since(start)), nil
}

func dialWorkers(ctx context.Context, o benchOptions, slots *client.Slots) ([]*benchWorker, error) {
	value := bytes.Repeat([]byte("x"), o.valueBytes)
	var workers []*benchWorker
	for i := range o.connections {
		node := i % len(slots.Addrs)
		conn, err := dialRESP(ctx, o.resp, slots.Addrs[node])
		if err != nil {
			return workers, err
		}
		workers = append(workers, &benchWorker{
			o: o, conn: conn, slots: slots, node: node, value: value,
			rng: rand.New(rand.NewPCG(1, uint64(i))), errors: map[string]uint64{},
		})
	}
	return workers, nil
}

func (w *benchWorker) run(ctx context.Context) error {
	for first := true; first || ctx.Err() == nil; first = false { // who measures nothing has nothing to tell
		w.build()
		start := time.Now()
		if err := w.conn.send(w.out); err != nil {
			return err
		}
		var sets, gets uint64
		moved := false
		for _, get := range w.isGet {
			v, err := w.conn.receive()
			switch {
			case err != nil:
				return err
			case v.IsError():
				code := resp.Error(v.Str).Code()
				moved = moved || code == "MOVED"
				w.errors[code]++
			case get:
				gets++
			default:
				sets++
			}
		}
		elapsed := time.Since(start)
		w.sets.Add(elapsed, sets)
		w.gets.Add(elapsed, gets)
		if moved {
			if err := w.follow(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// follow asks for the slots again after a leader has changed. A worker whose
// node leads nothing any more goes to another one.
func (w *benchWorker) follow(ctx context.Context) error {
	slots, err := w.conn.slots(ctx, w.slots.Addrs)
	if exitCode(err) == exitUnavailable {
		return nil // between two leaders: the next redirection leads here again
	}
	if err != nil {
		return err
	}
	addr := w.slots.Addrs[w.node]
	w.slots, w.node = slots, slices.Index(slots.Addrs, addr)
	if w.node >= 0 {
		return nil
	}
	w.node = w.rng.IntN(len(slots.Addrs))
	conn, err := dialRESP(ctx, w.o.resp, slots.Addrs[w.node])
	if err != nil {
		return err
	}
	_ = w.conn.close() // nothing is waiting on it
	w.conn = conn
	return nil
}

// build makes the next pipeline.
func (w *benchWorker) build() {
	w.out, w.isGet = w.out[:0], w.isGet[:0]
	for range w.o.pipeline {
		key, get := w.key(), w.rng.Float64() < w.o.getShare
		if get {
			w.out = resp.AppendCommand(w.out, [][]byte{[]byte("GET"), key})
		} else {
			w.out = resp.AppendCommand(w.out, [][]byte{[]byte("SET"), key, w.value})
		}
		w.isGet = append(w.isGet, get)
	}
}

// key draws a key that this worker's node serves. A node without slots gets
// keys of others, whose redirections then show as errors.
func (w *benchWorker) key() []byte {
	var key []byte
	for range 1000 {
		key = strconv.AppendInt([]byte("bench:"), w.rng.Int64N(int64(w.o.keys)), 10)
		if w.slots.NodeOf(key, w.node) == w.node {
			break
		}
	}
	return key
}

func summarize(o benchOptions, workers []*benchWorker, elapsed time.Duration) benchReport {
	var sets, gets, total histogram.Durations
	failures := map[string]uint64{}
	for _, w := range workers {
		sets.Merge(&w.sets)
		gets.Merge(&w.gets)
		for code, n := range w.errors {
			failures[code] += n
		}
	}
	total.Merge(&sets)
	total.Merge(&gets)
	report := benchReport{Connections: o.connections, Pipeline: o.pipeline, ValueBytes: o.valueBytes, Seconds: elapsed.Seconds(), Errors: failures}
	for _, part := range []struct {
		name string
		h    *histogram.Durations
	}{{"SET", &sets}, {"GET", &gets}, {"all", &total}} {
		if part.h.Count() > 0 {
			report.Operations = append(report.Operations, newBenchLine(part.name, part.h, elapsed))
		}
	}
	return report
}
