package shard

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/lockstepkv/lockstep/fsm"
	"github.com/lockstepkv/lockstep/shard/batch"
	"github.com/lockstepkv/lockstep/shard/session"
	"github.com/lockstepkv/lockstep/transport"
)

// route is how a node's batches of a shard come to its leader.
type route struct {
	id      uint32
	net     *transport.Transport
	leader  func() string
	serving *atomic.Uint64
	packer  *batch.Packer
}

// Leader implements session.Route.
func (r route) Leader() string { return r.leader() }

// Local implements session.Route.
func (r route) Local() (served bool) {
	r.packer.Kick()
	return r.serving.Load() != 0
}

// Submit implements session.Route.
func (r route) Submit(ctx context.Context, leader string, b *fsm.Batch) (fsm.BatchResult, error) {
	return submit(ctx, r.net, r.id, leader, b)
}

// submit hands b to the leader of shard id, which is another node.
func submit(ctx context.Context, net *transport.Transport, id uint32, leader string, b *fsm.Batch) (fsm.BatchResult, error) {
	reply, err := net.CallParts(ctx, leader, methodPropose, b.Encoded(appendGroup(nil, id))...)
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
