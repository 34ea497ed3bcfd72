package shard

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"github.com/lockstepkv/lockstep/internal/clock"
)

const (
	majorityEvery = 100 * time.Millisecond
	// majorityGrace is how long a majority may be away before that is told: a connection
	// that is made anew, or nodes that start one after the other, are no news.
	majorityGrace = time.Second
	bootGrace     = 5 * time.Second
)

// missing lists the nodes that this one is not connected to.
func (n *Node) missing() (list []string) {
	for _, m := range n.view.Get().Peers() {
		if m.ID != n.opt.NodeID && !n.net.Health(m.ID).Connected {
			list = append(list, m.ID)
		}
	}
	return list
}

// watchMajority says once when too few nodes are left, and once when they are back.
func (n *Node) watchMajority(ctx context.Context) {
	w := majorityWatch{logger: n.opt.Logger, grace: bootGrace, starting: true, whole: n.opt.Clock.Mono()}
	clock.Every(ctx, majorityEvery, func() {
		w.nodes = len(n.view.Get().Peers())
		w.look(n.missing(), n.opt.Clock.Mono())
	})
}

type majorityWatch struct {
	logger *slog.Logger
	nodes  int
	grace  time.Duration
	whole  time.Duration // when there was a majority last
	told   bool

	starting bool // there has been no majority yet
}

func (w *majorityWatch) look(missing []string, now time.Duration) {
	there := w.nodes - len(missing)
	if there > w.nodes/2 {
		if w.told {
			w.logger.Info("a majority of the nodes is there", "after", (now - w.whole).Round(time.Millisecond).String())
		}
		w.whole, w.told, w.grace, w.starting = now, false, majorityGrace, false
		return
	}
	if w.told || now-w.whole < w.grace {
		return
	}
	w.told = true
	if w.starting {
		w.logger.Warn("this node waits for a majority of the nodes before it serves",
			"missing", strings.Join(missing, ","), "connected", there, "of", w.nodes)
		return
	}
	w.logger.Error("the majority is lost: no writes and no linearizable reads until more nodes are connected",
		"missing", strings.Join(missing, ","), "connected", there, "of", w.nodes)
}
