package httpapi

import (
	"context"

	"golang.org/x/sync/semaphore"
)

// budget bounds the bytes of all bodies that are being read or worked on. A
// small body costs nothing: it is bounded by what its connection costs anyway.
type budget struct {
	sem   *semaphore.Weighted
	limit int64
}

const freeBytes = 64 << 10

func newBudget(limit int64) *budget {
	return &budget{sem: semaphore.NewWeighted(limit), limit: limit}
}

// take waits until n bytes are free and returns how to give them back.
func (b *budget) take(ctx context.Context, n int64) (release func(), err error) {
	if n <= freeBytes {
		return func() {}, nil
	}
	n = min(n, b.limit)
	if err := b.sem.Acquire(ctx, n); err != nil {
		return nil, err
	}
	return func() { b.sem.Release(n) }, nil
}
