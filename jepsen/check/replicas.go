package check

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/lockstepkv/lockstep/jepsen/history"
)

// Digest is the state of one replica of a shard at an index of its log.
type Digest struct {
	Node  string `json:"node"`
	Shard int    `json:"shard"`
	Index uint64 `json:"index"`
	Keys  int    `json:"keys"`
	Sum   string `json:"sum"`
}

// Replicas checks that replicas agree wherever they have the same index, and
// that for every shard all the nodes named in want (shard to nodes) were
// compared at one common index.
func Replicas(digests []Digest, want map[int][]string) Verdict {
	j := &judge{start: time.Now(), verdict: Verdict{Checker: "replicas"}}
	j.verdict.Found = map[string]int{}
	j.verdict.Stats.More = map[string]int{}
	j.count(len(digests), func(int) history.Outcome { return history.OK })
	type place struct {
		shard int
		index uint64
	}
	at := map[place][]Digest{}
	for _, d := range digests {
		p := place{d.Shard, d.Index}
		for _, other := range at[p] {
			if other.Keys != d.Keys || other.Sum != d.Sum {
				j.report(AnomalyDivergence, fmt.Sprintf("shard %d", d.Shard), nil,
					"at index %d, %s has %d keys and the digest %s; %s has %d keys and the digest %s",
					d.Index, other.Node, other.Keys, other.Sum, d.Node, d.Keys, d.Sum)
				break
			}
		}
		at[p] = append(at[p], d)
	}
	compared := map[int]bool{}
	for p, list := range at {
		compared[p.shard] = compared[p.shard] || coversAll(list, want[p.shard])
	}
	j.verdict.Stats.Keys = len(want)
	requireCompared(j, compared, want)
	return j.done()
}

func coversAll(digests []Digest, nodes []string) bool {
	for _, node := range nodes {
		if !slices.ContainsFunc(digests, func(d Digest) bool { return d.Node == node }) {
			return false
		}
	}
	return true
}

func requireCompared(j *judge, compared map[int]bool, want map[int][]string) {
	var shards []int
	for shard := range want {
		shards = append(shards, shard)
	}
	slices.Sort(shards)
	if len(shards) == 0 {
		j.unknown("no shard was to be compared")
	}
	for _, shard := range shards {
		if nodes := want[shard]; len(nodes) < 2 || !compared[shard] {
			j.unknown("shard %d: the replicas %s were not compared at one index", shard, strings.Join(nodes, ", "))
		}
	}
}
