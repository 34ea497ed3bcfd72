package workload

import (
	"context"

	"github.com/lockstepkv/lockstep/jepsen/check"
	"github.com/lockstepkv/lockstep/jepsen/client"
	"github.com/lockstepkv/lockstep/jepsen/history"
)

// queue pushes elements to lists and pops them. A pop has an idempotency id and is tried until it
// is known what it got, as programs do that lose nothing: few are left in doubt.
type queue struct {
	recorded[check.QueueInput, check.QueueOutput]
	keys keyring
}

func newQueue(o Options) Workload {
	return &queue{newRecorded[check.QueueInput, check.QueueOutput]("queue", o), keyring{prefix: "q", active: 4, per: 500}}
}

// Flags implements Workload: some lists are packed and most are trees.
func (q *queue) Flags() []string { return append(q.recorded.Flags(), "--list-max-listpack-size=5") }

// Step implements Workload.
func (q *queue) Step(ctx context.Context, w *Worker) {
	key, c := q.keys.pick(q.rec.Len(), w.Rand), w.anywhere()
	if w.Rand.IntN(100) < 45 {
		q.pop(ctx, w, c, key)
		return
	}
	in := check.QueueInput{Element: w.unique()}
	q.do(w, c.Node(), check.QueuePush, key, in,
		func() client.Reply { return c.Do(ctx, "RPUSH", key, in.Element) },
		func(client.Reply) (check.QueueOutput, error) { return check.QueueOutput{}, nil })
}

// pop reports whether it got an element.
func (q *queue) pop(ctx context.Context, w *Worker, c client.Client, key string) bool {
	id := "pop/" + w.unique()
	r, ok := q.do(w, c.Node(), check.QueuePop, key, check.QueueInput{},
		func() client.Reply {
			r := c.Once(ctx, id, "LPOP", key)
			for try := 0; try < onceTries && r.Outcome == history.InDoubt && ctx.Err() == nil; try++ {
				// A try that failed says nothing of those before it.
				if again := w.All[w.Rand.IntN(len(w.All))].Once(ctx, id, "LPOP", key); again.Outcome == history.OK {
					r = again
				}
			}
			return r
		},
		func(r client.Reply) (check.QueueOutput, error) {
			element, found, err := text(r.Value)
			return check.QueueOutput{Element: element, Empty: !found}, err
		})
	return ok && !r.Value.IsNil()
}

// Final implements Workload: everything is popped.
func (q *queue) Final(ctx context.Context, w *Worker) {
	for i, key := range q.keys.used(q.rec.Len()) {
		for q.pop(ctx, w, w.All[i%len(w.All)], key) {
		}
	}
}

// Check implements Workload.
func (q *queue) Check() check.Verdict { return check.Queue(q.rec.History()) }
