package e2e

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// Register checks that reads of one key are linearizable. One writer stores 1, 2,
// 3, ...; so a read must not be older than the newest value that was acknowledged,
// or that another read returned, before it began, nor newer than the newest that
// a write had begun to store when it ended.
type Register struct {
	key    string
	begun  atomic.Int64 // newest value that a write was sent for
	stop   atomic.Bool
	wg     sync.WaitGroup
	reads  atomic.Int64
	failed atomic.Int64 // reads that were answered with an error

	mu    sync.Mutex
	floor int64   // newest value known to be visible; guarded by mu
	wrong []error // guarded by mu
}

// WatchRegister starts a writer and readers, each on a client of its own.
func WatchRegister(key string, writer redis.UniversalClient, readers ...redis.UniversalClient) *Register {
	r := &Register{key: key}
	r.wg.Go(func() { r.write(writer) })
	for i, reader := range readers {
		r.wg.Go(func() { r.read(i, reader) })
	}
	return r
}

func (r *Register) write(c redis.UniversalClient) {
	for i := int64(1); !r.stop.Load(); i++ {
		r.begun.Store(i)
		if err := c.Set(context.Background(), r.key, i, 0).Err(); err != nil {
			r.report(fmt.Errorf("writing %d: %w", i, err))
			return
		}
		r.raise(i)
	}
}

func (r *Register) read(id int, c redis.UniversalClient) {
	for !r.stop.Load() {
		floor, began := r.visible(), time.Now()
		got, err := c.Get(context.Background(), r.key).Int64()
		if errors.Is(err, redis.Nil) {
			err = nil
		}
		if err != nil {
			// No answer is not a wrong answer.
			r.failed.Add(1)
			continue
		}
		r.reads.Add(1)
		if newest := r.begun.Load(); got < floor || got > newest {
			r.report(fmt.Errorf("reader %d: read %d after %d was visible (newest begun %d); the read took %v", id, got, floor, newest, time.Since(began)))
		}
		r.raise(got)
	}
}

func (r *Register) visible() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.floor
}

func (r *Register) raise(v int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.floor = max(r.floor, v)
}

func (r *Register) report(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.wrong = append(r.wrong, err)
}

// Stop ends it and returns what was wrong.
func (r *Register) Stop() error {
	r.stop.Store(true)
	r.wg.Wait()
	return errors.Join(r.wrong...)
}
