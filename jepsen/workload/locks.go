package workload

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/lockstepkv/lockstep/jepsen/check"
	"github.com/lockstepkv/lockstep/jepsen/client"
	"github.com/lockstepkv/lockstep/jepsen/history"
)

// locks takes locks, works under them, and sometimes comes back after their time
// as a process does that was stopped for too long. Each lock guards a resource
// that is written with fences. Half of the resources are outside of the cluster
// and never fail; the others are keys of the cluster, written with FENCED.
type locks struct {
	recorded[check.LockInput, check.LockOutput]
	keys    keyring
	outside *resources
}

func newLocks(o Options) Workload {
	o.ClockBound = o.RateBound
	return &locks{
		recorded: newRecorded[check.LockInput, check.LockOutput]("locks", o),
		keys:     keyring{prefix: "l", active: 4, per: 70},
		outside:  &resources{accepted: map[string][]uint64{}},
	}
}

// resources are what locks guard outside of the cluster. Each takes a write
// unless it has seen a newer fence.
type resources struct {
	mu       sync.Mutex
	accepted map[string][]uint64
}

func (r *resources) write(name string, fence uint64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := r.accepted[name]
	if len(list) > 0 && list[len(list)-1] > fence {
		return false
	}
	r.accepted[name] = append(list, fence)
	return true
}

func (r *resources) read(name string) []uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]uint64(nil), r.accepted[name]...)
}

// inCluster reports whether the lock's resource is a key of the cluster. It has
// the slot of the lock, so that granting a fence is enough to refuse older ones.
func inCluster(name string) bool { return (name[len(name)-1]-'0')%2 == 1 }

func resourceKey(name string) string { return "{" + name + "}.written" }

// held is a lock as its holder knows it.
type held struct {
	name, token string
	fence       uint64
	ttl         time.Duration
}

// Step implements Workload.
func (l *locks) Step(ctx context.Context, w *Worker) {
	h := held{name: l.keys.pick(l.rec.Len(), w.Rand), ttl: l.opt.lifetime(w.Rand, 300*time.Millisecond, 1500*time.Millisecond)}
	wait := time.Duration(0)
	if w.Rand.IntN(3) > 0 {
		wait = time.Duration(w.Rand.IntN(1500)) * time.Millisecond
	}
	if !l.acquire(ctx, w, &h, wait) {
		return
	}
	for range 1 + w.Rand.IntN(3) {
		switch n := w.Rand.IntN(20); {
		case n < 10:
			l.write(ctx, w, &h)
		case n < 14:
			l.renew(ctx, w, &h)
		case n < 16: // somebody tries without the token
			l.release(ctx, w, &held{name: h.name, token: "not-the-token"})
		case n < 18: // a holder that sleeps over the end of its time, and writes late
			sleep(ctx, h.ttl+time.Duration(w.Rand.IntN(500))*time.Millisecond)
			l.write(ctx, w, &h)
		default:
			sleep(ctx, h.ttl/2)
		}
	}
	if w.Rand.IntN(6) > 0 {
		l.release(ctx, w, &h)
	}
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// perform records an operation on a lock; what was refused has that as its error.
func (l *locks) perform(w *Worker, node, kind string, h *held, in check.LockInput, request func() client.Reply, output func(client.Reply) (check.LockOutput, error)) bool {
	_, ok := l.do(w, node, kind, h.name, in, func() client.Reply {
		r := request()
		if r.Refused {
			r.Err = errors.New(check.LockRefused)
		}
		return r
	}, output)
	return ok
}

func nothing(client.Reply) (check.LockOutput, error) { return check.LockOutput{}, nil }

func (l *locks) acquire(ctx context.Context, w *Worker, h *held, wait time.Duration) bool {
	c := w.anywhere()
	return l.perform(w, c.Node(), check.LockAcquire, h, check.LockInput{TTL: h.ttl},
		func() client.Reply {
			return client.Lock(ctx, c, h.name, millis(h.ttl), millis(wait), "worker "+strconv.Itoa(w.ID))
		},
		func(r client.Reply) (check.LockOutput, error) {
			if len(r.Value.Elems) != 2 || r.Value.Elems[1].Int <= 0 {
				return check.LockOutput{}, fmt.Errorf("LOCK answered %v", r.Value)
			}
			h.token, h.fence = string(r.Value.Elems[0].Str), uint64(r.Value.Elems[1].Int)
			return check.LockOutput{Fence: h.fence}, nil
		})
}

func millis(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

func (l *locks) renew(ctx context.Context, w *Worker, h *held) {
	c := w.anywhere()
	l.perform(w, c.Node(), check.LockRenew, h, check.LockInput{Fence: h.fence, TTL: h.ttl},
		func() client.Reply { return client.Renew(ctx, c, h.name, h.token, millis(h.ttl)) }, nothing)
}

func (l *locks) release(ctx context.Context, w *Worker, h *held) {
	c := w.anywhere()
	l.perform(w, c.Node(), check.LockRelease, h, check.LockInput{Fence: h.fence},
		func() client.Reply { return client.Unlock(ctx, c, h.name, h.token) }, nothing)
}

func (l *locks) write(ctx context.Context, w *Worker, h *held) {
	c, in := w.anywhere(), check.LockInput{Fence: h.fence}
	fence := strconv.FormatUint(h.fence, 10)
	if inCluster(h.name) {
		l.perform(w, c.Node(), check.LockWrite, h, in,
			func() client.Reply {
				return c.Do(ctx, "FENCED", h.name, fence, "APPEND", resourceKey(h.name), fence+",")
			}, nothing)
		return
	}
	l.perform(w, "", check.LockWrite, h, in, func() client.Reply {
		if l.outside.write(h.name, h.fence) {
			return client.Reply{Outcome: history.OK}
		}
		return client.Reply{Outcome: history.Fail, Refused: true}
	}, nothing)
}

// Final implements Workload.
func (l *locks) Final(ctx context.Context, w *Worker) {
	for i, name := range l.keys.used(l.rec.Len()) {
		h, c := &held{name: name}, w.All[i%len(w.All)]
		if !inCluster(name) {
			l.perform(w, "", check.LockRead, h, check.LockInput{},
				func() client.Reply { return client.Reply{Outcome: history.OK} },
				func(client.Reply) (check.LockOutput, error) {
					return check.LockOutput{Fences: l.outside.read(name)}, nil
				})
			continue
		}
		l.perform(w, c.Node(), check.LockRead, h, check.LockInput{},
			func() client.Reply { return c.Do(ctx, "GET", resourceKey(name)) }, writtenFences)
	}
}

func writtenFences(r client.Reply) (check.LockOutput, error) {
	value, _, err := text(r.Value)
	out := check.LockOutput{}
	for fence := range strings.SplitSeq(strings.TrimSuffix(value, ","), ",") {
		if fence == "" {
			continue
		}
		n, bad := strconv.ParseUint(fence, 10, 64)
		if bad != nil {
			return out, bad
		}
		out.Fences = append(out.Fences, n)
	}
	return out, err
}

// Check implements Workload.
func (l *locks) Check() check.Verdict {
	o := check.LockOptions{
		ClockBound:  l.opt.ClockBound,
		GrantIsSeen: inCluster,
		Timeout:     3 * time.Minute,
		Visualize:   func(name string, page []byte) { l.opt.Page("linearizability of "+name, page) },
	}
	return check.Locks(l.rec.History(), o)
}
