package shard

import (
	"errors"
	"fmt"

	"github.com/hashicorp/raft"

	"github.com/lockstepkv/lockstep/shard/raftlog"
)

// durable ends the node when its log cannot be written. Raft itself would go on:
// a leader would step down and soon be elected again, a follower would refuse
// every entry, and after a failed flush nobody knows what the disk holds.
type durable struct {
	LogStore
	fatal func(error)
}

var _ raft.MonotonicLogStore = durable{}

func (d durable) check(op string, err error) error {
	if err != nil && !errors.Is(err, raftlog.ErrClosed) {
		d.fatal(fmt.Errorf("%s failed, nothing more can be made durable: %w", op, err))
	}
	return err
}

// StoreLog implements raft.LogStore.
func (d durable) StoreLog(l *raft.Log) error { return d.StoreLogs([]*raft.Log{l}) }

// StoreLogs implements raft.LogStore.
func (d durable) StoreLogs(logs []*raft.Log) error {
	return d.check("appending to the log", d.LogStore.StoreLogs(logs))
}

// DeleteRange implements raft.LogStore.
func (d durable) DeleteRange(min, max uint64) error {
	return d.check("truncating the log", d.LogStore.DeleteRange(min, max))
}

// Set implements raft.StableStore.
func (d durable) Set(key, val []byte) error {
	return d.check("storing a vote", d.LogStore.Set(key, val))
}

// SetUint64 implements raft.StableStore.
func (d durable) SetUint64(key []byte, val uint64) error {
	return d.check("storing a term", d.LogStore.SetUint64(key, val))
}
