package shard

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/lockstepkv/lockstep/fsm"
	"github.com/lockstepkv/lockstep/shard/session"
	"github.com/lockstepkv/lockstep/transport"
)

// route is how a node's batches of a shard come to its leader.
type route struct {
	id      uint32
	net     *transport.Transport
	leader  func() string
	serving *atomic.Uint64
	packer  *packer
}

// Leader implements session.Route.
func (r route) Leader() string { return r.leader() }

// Local implements session.Route.
func (r route) Local() (served bool) {
	r.packer.kick()
	return r.serving.Load() != 0
}

// Submit implements session.Route.
func (r route) Submit(ctx context.Context, leader string, b *fsm.Batch) (fsm.BatchResult, error) {
	reply, err := r.net.CallParts(ctx, leader, methodPropose, b.Encoded(appendGroup(nil, r.id))...)
	switch remote := new(transport.RemoteError); {
	case errors.Is(err, transport.ErrNotSent):
		return fsm.BatchResult{}, session.ErrNotServing
	case errors.As(err, &remote):
		return fsm.BatchResult{}, fmt.Errorf("%w: %w", session.ErrUnanswerable, err)
	case err != nil:
		return fsm.BatchResult{}, err
	}
	return decodeResult(reply)
}

// disksOf is what a shard's session asks about room.
type disksOf struct{ g *Group }

// fits implements session.Disks.
func (d disksOf) Fits(b *fsm.Batch) bool {
	part := int64(keepsAny)
	switch {
	case d.g.opt.Table.FreesAll(b.Parts, b.Body):
		part = keepsFrees
	case d.g.room() == noneLeft:
		return false
	}
	leader := d.g.Leader()
	return leader == "" || d.g.spare(leader, part) >= int64(b.UnitBytes()) // else it waits for a leader
}

// restsNow implements session.Disks.
func (d disksOf) RestsNow(b *fsm.Batch, first bool) {
	for range b.Units {
		d.g.metrics.refused()
	}
	if first {
		d.g.logger.Error("a write in doubt waits until there is room on disks; others pass it",
			"batch", b.Seq, "bytes", b.UnitBytes(), "commands", b.Units)
	}
}
