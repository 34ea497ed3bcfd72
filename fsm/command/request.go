package command

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// NoDisk is a Ctx.OOMLimit: nothing may grow, since there is no room on disks.
const NoDisk int64 = -1

// The outcomes of a request that got no reply from the state machine. Every
// other error that a shard returns wraps one of these.
var (
	// ErrUnavailable is definite: nothing happened, a retry is safe. The shard
	// has no leader, or cannot confirm one, before the deadline.
	ErrUnavailable = error(&Refusal{"shard unavailable"})

	// ErrOverloaded is definite: too much is waiting on this node.
	ErrOverloaded = error(&Refusal{"too many requests waiting"})

	// ErrNoRoom is definite: there is no room on disks for what would grow, or for anything.
	ErrNoRoom = error(&Refusal{"no room on disk"})

	// ErrTight is ErrNoRoom for what would grow.
	ErrTight = fmt.Errorf("%w: less than --disk-reserve is free on the disk of the shard's leader, or of a majority", ErrNoRoom)

	// ErrInDoubt: the request was handed to a leader and its outcome is not
	// known. It may still take effect.
	ErrInDoubt = errors.New("outcome unknown, the write may or may not be applied")

	// ErrTooStale: a stale read asked for data younger than this node has.
	ErrTooStale = errors.New("local data is older than max_staleness")
)

// Refusal is a definite error: why a shard has not run a request.
type Refusal struct{ why string }

func (r *Refusal) Error() string { return r.why + ", nothing was applied" }

// OfThisTry is the text of err where it is one try of several under the same idempotency id:
// what a Refusal says holds for this one alone.
func OfThisTry(err error) string {
	var r *Refusal
	if !errors.As(err, &r) {
		return err.Error()
	}
	this := r.why + ", this try was not applied (an earlier one under the same id may have been)"
	return strings.Replace(err.Error(), r.Error(), this, 1)
}

// Consistency says how fresh a read must be.
type Consistency uint8

const (
	// Linearizable reads see every write that was acknowledged before they began.
	Linearizable Consistency = iota
	// Stale reads answer from this node's memory and say how old it may be.
	Stale
)

// ReadOptions are the terms of one read.
type ReadOptions struct {
	Consistency  Consistency
	MaxStaleness time.Duration // Stale only; 0 means any age

	// MinIndex, Stale only, is the index of a write that the read must see: a replica
	// that has not reached it reads as a linearizable read does. That also serves where
	// the index is that of another shard.
	MinIndex uint64
}

// ReadInfo tells what a read was answered from.
type ReadInfo struct {
	Index uint64        // the newest log index the answering state machine had applied
	Age   time.Duration // Stale only: how long ago this node last heard from a serving leader; 0 on the leader
}
