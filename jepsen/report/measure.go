package report

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/lockstepkv/lockstep/jepsen/history"
)

// Latency are quantiles in milliseconds.
type Latency struct {
	P50 float64 `json:"p50_ms"`
	P99 float64 `json:"p99_ms"`
	Max float64 `json:"max_ms"`
}

// Second is what happened in one second, by the time of the calls for failures
// and of the answers for successes.
type Second struct {
	OK      int     `json:"ok"`
	Failed  int     `json:"failed"`
	InDoubt int     `json:"in_doubt"`
	Latency Latency `json:"latency"` // of the successes
}

// KindCount counts operations of one kind.
type KindCount struct {
	Kind    string `json:"kind"`
	OK      int    `json:"ok"`
	Failed  int    `json:"failed"`
	InDoubt int    `json:"in_doubt"`
}

func quantiles(list []time.Duration) Latency {
	if len(list) == 0 {
		return Latency{}
	}
	slices.Sort(list)
	at := func(q float64) float64 {
		return millis(list[min(int(q*float64(len(list))), len(list)-1)])
	}
	return Latency{P50: at(0.5), P99: at(0.99), Max: millis(list[len(list)-1])}
}

func millis(d time.Duration) float64 { return math.Round(d.Seconds()*1e5) / 100 }

// Measure counts and times the operations. Events must be there.
func (r *Report) Measure(entries []history.Entry) {
	var all []time.Duration
	var answers []time.Duration // when a success was answered
	buckets := map[int][]time.Duration{}
	kinds := map[string]*KindCount{}
	second := func(at time.Duration) *Second {
		i := int(at / time.Second)
		for len(r.Seconds) <= i {
			r.Seconds = append(r.Seconds, Second{})
		}
		return &r.Seconds[i]
	}
	for _, e := range entries {
		k := kinds[e.Kind]
		if k == nil {
			k = &KindCount{Kind: e.Kind}
			kinds[e.Kind] = k
		}
		switch e.Outcome {
		case history.OK:
			second(e.Return).OK++
			k.OK++
			all = append(all, e.Return-e.Call)
			answers = append(answers, e.Return)
			i := int(e.Return / time.Second)
			buckets[i] = append(buckets[i], e.Return-e.Call)
		case history.Fail:
			second(e.Call).Failed++
			k.Failed++
		default:
			second(e.Call).InDoubt++
			k.InDoubt++
		}
	}
	for i, list := range buckets {
		r.Seconds[i].Latency = quantiles(list)
	}
	r.Latency = quantiles(all)
	for _, k := range kinds {
		r.Kinds = append(r.Kinds, *k)
	}
	slices.SortFunc(r.Kinds, func(a, b KindCount) int { return cmp.Compare(a.Kind, b.Kind) })
	r.measureGaps(answers)
}

// afterglow is how long after its end a fault is held responsible for silence.
const afterglow = time.Second

// measureGaps finds, per kind of fault, the longest time within which no client
// of any node had an answer.
func (r *Report) measureGaps(answers []time.Duration) {
	slices.Sort(answers)
	r.Gaps = map[string]float64{}
	for _, e := range r.Events {
		longest, last := time.Duration(0), e.Start
		from, _ := slices.BinarySearch(answers, e.Start)
		for _, at := range answers[from:] {
			longest = max(longest, at-last)
			if last = at; at > e.End+afterglow {
				break
			}
		}
		r.Gaps[e.Fault] = max(r.Gaps[e.Fault], math.Round(longest.Seconds()*1000)/1000)
	}
}
