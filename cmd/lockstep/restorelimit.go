package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/lockstepkv/lockstep/resp"
	"github.com/lockstepkv/lockstep/store"
)

// largestItem is the longest key or value of the files to restore.
type largestItem struct {
	path  string
	key   string
	bytes int64

	dumps dumper
}

func (l *largestItem) see(path string, item store.Item) error {
	n := int64(max(len(item.Key), len(item.Value)))
	if item.Collection != nil {
		dump, err := l.dumps.dump(item)
		if err != nil {
			return err
		}
		n = max(n, int64(len(dump)))
	}
	if n > l.bytes {
		l.path, l.key, l.bytes = path, string(item.Key), n
	}
	return nil
}

// checkFits refuses what the nodes would refuse half way: each accepts values up
// to its own --max-value-size, and cuts off a client that sends a larger one.
func (l *restoreLoader) checkFits(ctx context.Context, largest largestItem) error {
	for _, addr := range l.slots.Addrs {
		limit, err := l.valueLimit(ctx, addr)
		if err != nil {
			return err
		}
		if limit > 0 && largest.bytes > limit {
			return fmt.Errorf("%s: key %.100q has %d bytes and %s takes %d at most; raise --max-value-size on every node (nothing was changed)",
				largest.path, largest.key, largest.bytes, addr, limit)
		}
	}
	return nil
}

// valueLimit asks a node for the longest value that it takes; 0: it does not say.
func (l *restoreLoader) valueLimit(ctx context.Context, addr string) (int64, error) {
	conn, err := l.conn(ctx, addr)
	if err != nil {
		return 0, err
	}
	v, err := conn.command(ctx, "CONFIG", "GET", "proto-max-bulk-len")
	if err != nil || len(v.Elems) != 2 {
		return 0, err
	}
	n, err := strconv.ParseInt(string(v.Elems[1].Str), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%s: proto-max-bulk-len: %w", addr, err)
	}
	return n, nil
}

// refused reports whether err is the cluster's definite refusal and nothing that
// was sent besides is in doubt.
func (l *restoreLoader) refused(err error) bool {
	return isRefusal(err) && !isRetriable(err) && !l.unanswered
}

// isRefusal reports whether err is a reply which says that nothing was done.
func isRefusal(err error) bool {
	var reply resp.Error
	return errors.As(err, &reply) && reply.Code() != codeInDoubt
}

func isInDoubt(err error) bool {
	var reply resp.Error
	return errors.As(err, &reply) && reply.Code() == codeInDoubt
}
