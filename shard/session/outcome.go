package session

import (
	"errors"
	"fmt"

	"github.com/lockstepkv/lockstep/fsm/command"
)

// What may become of a batch that a leader was given, beside its result. Those who hand batches over
// tell these apart with errors.Is; any other error means as much as ErrDoubt.
var (
	// ErrNotServing is definite: that node does not lead the shard, or does not serve yet,
	// and has not logged the batch.
	ErrNotServing = errors.New("this node does not serve the shard")

	// ErrDoubt tells that the batch may have been logged.
	ErrDoubt = errors.New("the batch may have been logged")

	// ErrFull is definite, and the outcome of the proposals of a batch that was never in doubt.
	ErrFull = fmt.Errorf("%w: the disk of the shard's leader, or of a majority, is full", command.ErrNoRoom)

	// ErrUnread is the outcome of the batches of an entry that could not be read: whether they were
	// applied is told by what the other replicas made of it. They are not proposed again, for what
	// cannot be read may be their own fault.
	ErrUnread = errors.New("the log entry cannot be read")

	// ErrUnanswerable: the leader has the batch and cannot answer it, now or ever: its reply
	// exceeds what nodes can send each other.
	ErrUnanswerable = errors.New("the batch cannot be answered")
)
