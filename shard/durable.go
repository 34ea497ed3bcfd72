package shard

import (
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/raft"

	"github.com/lockstepkv/lockstep/internal/disk"
	"github.com/lockstepkv/lockstep/shard/raftlog"
	"github.com/lockstepkv/lockstep/shard/slowdisk"
)

// durable ends the node when its log cannot be written. Raft itself would go on:
// a leader would step down and soon be elected again, a follower would refuse
// every entry, and after a failed flush nobody knows what the disk holds.
type durable struct {
	LogStore
	dir     string
	flushes *slowdisk.Watch
	appends func([]*raft.Log) (ended func())
	took    func(time.Duration) // is told how long each append took
	fatal   func(error)
}

var _ raft.MonotonicLogStore = durable{}

func (d durable) do(op string, kind slowdisk.Flush, write func() error) error {
	end, began := d.flushes.Track(kind), time.Now()
	err := write()
	end()
	if kind == slowdisk.Append {
		d.took(time.Since(began))
	}
	if err == nil || errors.Is(err, raftlog.ErrClosed) {
		return err
	}
	if disk.IsFull(err) {
		d.fatal(fmt.Errorf("%s failed, there is no room in %s; make some and start the node again, and see --disk-reserve: %w", op, d.dir, err))
		return err
	}
	d.fatal(fmt.Errorf("%s failed, nothing more can be made durable: %w", op, err))
	return err
}

// StoreLog implements raft.LogStore.
func (d durable) StoreLog(l *raft.Log) error { return d.StoreLogs([]*raft.Log{l}) }

// StoreLogs implements raft.LogStore.
func (d durable) StoreLogs(logs []*raft.Log) error {
	return d.do("appending to the log", slowdisk.Append, func() error {
		defer d.appends(logs)()
		return d.LogStore.StoreLogs(logs)
	})
}

// DeleteRange implements raft.LogStore.
func (d durable) DeleteRange(first, last uint64) error {
	return d.do("truncating the log", slowdisk.Truncate, func() error { return d.LogStore.DeleteRange(first, last) })
}

// Set implements raft.StableStore.
func (d durable) Set(key, val []byte) error {
	return d.do("storing a vote", slowdisk.Append, func() error { return d.LogStore.Set(key, val) })
}

// SetUint64 implements raft.StableStore.
func (d durable) SetUint64(key []byte, val uint64) error {
	return d.do("storing a term", slowdisk.Append, func() error { return d.LogStore.SetUint64(key, val) })
}
