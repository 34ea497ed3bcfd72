package batch

import (
	"context"
	"time"

	"github.com/lockstepkv/lockstep/fsm"
	"github.com/lockstepkv/lockstep/shard/session"
)

// incoming is a batch that another node sent to this leader.
type incoming struct {
	batch  fsm.Batch
	until  time.Time // when a large batch that is not logged as a whole is given up; zero: never
	result fsm.BatchResult
	err    error
	done   chan struct{}
}

// wait waits for the result.
func (in *incoming) wait(ctx context.Context) (fsm.BatchResult, error) {
	select {
	case <-in.done:
		return in.result, in.err
	case <-ctx.Done():
		return fsm.BatchResult{}, session.ErrDoubt
	}
}

// answer ends what the batches wait for.
func answer(list []*incoming, why error) {
	for _, in := range list {
		in.err = why
		close(in.done)
	}
}
