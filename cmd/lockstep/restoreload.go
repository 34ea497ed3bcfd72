package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/lockstepkv/lockstep/client"
	"github.com/lockstepkv/lockstep/resp"
	"github.com/lockstepkv/lockstep/snapshot/rdb"
	"github.com/lockstepkv/lockstep/store"
)

const (
	restoreBatchCommands = 512
	restoreBatchBytes    = 1 << 20

	// restorePatience is how long a batch may find no leader before the restore
	// gives up.
	restorePatience      = 30 * time.Second
	restoreRetryInterval = 100 * time.Millisecond
)

// restoreLoader writes keys in pipelines, over one connection per node.
type restoreLoader struct {
	options respOptions
	slots   *client.Slots
	conns   map[string]*respConn
	waiting []restoreCommand
	bytes   int // of waiting
	loaded  int // keys that the cluster acknowledged
	shown   *progress
	dumps   dumper

	// unanswered: some commands were sent and their outcome is not known yet.
	unanswered bool
}

// restoreCommand is a SET or a RESTORE. It may be sent twice with the same effect, so one
// whose outcome is not known is simply sent again.
type restoreCommand struct {
	key     []byte
	encoded []byte
}

func newRestoreLoader(ctx context.Context, o respOptions) (*restoreLoader, error) {
	slots, err := loadSlots(ctx, o)
	if err != nil {
		return nil, err
	}
	return &restoreLoader{options: o, slots: slots, conns: map[string]*respConn{}}, nil
}

func (l *restoreLoader) close() {
	for addr, c := range l.conns {
		_ = c.close() // nothing is waiting on it
		delete(l.conns, addr)
	}
}

func (l *restoreLoader) conn(ctx context.Context, addr string) (*respConn, error) {
	if c, ok := l.conns[addr]; ok {
		return c, nil
	}
	c, err := dialRESP(ctx, l.options, addr)
	if err == nil {
		l.conns[addr] = c
	}
	return c, err
}

// prepare empties the cluster, or makes sure that its keys may stay. With several
// shards a node answers DBSIZE and FLUSHALL for those that it leads, as in Redis
// Cluster, so every leader is asked.
//
// What goes wrong once a FLUSHALL may have been carried out leaves the outcome in doubt.
func (l *restoreLoader) prepare(ctx context.Context, o restoreOptions) (err error) {
	flushing := false
	defer func() {
		if err != nil && flushing {
			err = withCode(exitInDoubt, fmt.Errorf("keys that were there may be gone: %w", err))
		}
	}()
	addrs := l.slots.Addrs
	if !l.slots.Sharded() {
		addrs = addrs[:1]
	}
	var keys int64
	for _, addr := range addrs {
		conn, err := l.conn(ctx, addr)
		if err != nil {
			return err
		}
		if o.flush {
			_, err := conn.command(ctx, "FLUSHALL")
			flushing = flushing || !isRefusal(err)
			if err != nil {
				return err
			}
		}
		size, err := conn.command(ctx, "DBSIZE")
		if err != nil {
			return err
		}
		keys += size.Int
	}
	switch {
	case keys == 0 || o.merge:
		return nil
	case o.flush:
		return fmt.Errorf("%d keys are left after FLUSHALL: somebody writes, or a leader changed; try again", keys)
	default:
		return fmt.Errorf("the cluster holds %d keys; --flush deletes them first, --merge writes over them", keys)
	}
}

func (l *restoreLoader) load(ctx context.Context, path string) (*rdb.Info, error) {
	options := rdb.ReadOptions{File: path, Packed: redisLimits(), NowMillis: time.Now().UnixMilli(), DropExpired: true}
	var info *rdb.Info
	err := withFile(path, func(f *os.File) error {
		var err error
		info, err = rdb.Scan(l.shown.reader(f), options, func(item store.Item) error { return l.add(ctx, item) })
		return err
	})
	if err != nil {
		return nil, err
	}
	return info, l.flush(ctx)
}

func (l *restoreLoader) add(ctx context.Context, item store.Item) error {
	args, err := l.dumps.command(item)
	if err != nil {
		return err
	}
	c := restoreCommand{slices.Clone(item.Key), resp.AppendCommand(nil, args)}
	l.waiting = append(l.waiting, c)
	l.bytes += len(c.encoded)
	if len(l.waiting) < restoreBatchCommands && l.bytes < restoreBatchBytes {
		return nil
	}
	return l.flush(ctx)
}

// flush sends what waits, and again what was refused for want of a leader, after
// asking who leads now.
func (l *restoreLoader) flush(ctx context.Context) error {
	deadline := time.Now().Add(restorePatience)
	for {
		refused := l.sendWaiting(ctx)
		if len(l.waiting) == 0 {
			l.bytes, l.unanswered = 0, false
			return nil
		}
		if !isRetriable(refused) || time.Now().After(deadline) {
			return refused
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(restoreRetryInterval):
		}
		l.close()
		if slots, err := loadSlots(ctx, l.options); err == nil {
			l.slots = slots
		}
	}
}

// sendWaiting leaves in l.waiting what was not acknowledged, and returns the
// last reason, or a final one as soon as there is one.
func (l *restoreLoader) sendWaiting(ctx context.Context) error {
	groups := make([][]restoreCommand, len(l.slots.Addrs))
	for _, c := range l.waiting {
		node := l.slots.NodeOf(c.key, 0)
		groups[node] = append(groups[node], c)
	}
	var left []restoreCommand
	var reason error
	for node, group := range groups {
		if len(group) == 0 {
			continue
		}
		rest, err := l.sendGroup(ctx, l.slots.Addrs[node], group)
		left = append(left, rest...)
		if err != nil && (reason == nil || !isRetriable(err)) {
			reason = err
		}
	}
	l.waiting = left
	return reason
}

// sendGroup sends commands to one node and returns those that it did not acknowledge.
func (l *restoreLoader) sendGroup(ctx context.Context, addr string, group []restoreCommand) ([]restoreCommand, error) {
	conn, err := l.conn(ctx, addr)
	if err != nil {
		return group, err
	}
	var encoded []byte
	for _, c := range group {
		encoded = append(encoded, c.encoded...)
	}
	if err := conn.send(encoded); err != nil {
		l.unanswered = true
		return group, err
	}
	var left []restoreCommand
	var reason error
	for i, c := range group {
		reply, err := conn.receive()
		if err != nil {
			l.unanswered = true
			return append(left, group[i:]...), err
		}
		if err := reply.AsError(); err != nil {
			left = append(left, c)
			l.unanswered = l.unanswered || isInDoubt(err)
			if reason == nil || !isRetriable(err) {
				reason = fmt.Errorf("key %q: %w", c.key, err)
			}
			continue
		}
		l.loaded++
	}
	return left, reason
}

// isRetriable: the cluster may accept the same command a little later, perhaps
// on another node.
func isRetriable(err error) bool {
	var reply resp.Error
	if errors.As(err, &reply) {
		return isNotYet(reply.Code()) || reply.Code() == codeInDoubt
	}
	return exitCode(err) == exitUnavailable
}

// dumper makes commands that restore keys.
type dumper struct{ scratch *store.Store }

// command is a SET, or a RESTORE of what is no string: one command for the whole key, so that it may be sent again.
func (d *dumper) command(item store.Item) ([][]byte, error) {
	lifetime := strconv.AppendInt(nil, item.ExpireAt, 10)
	switch {
	case item.Collection != nil:
		dump, err := d.dump(item)
		return [][]byte{[]byte("RESTORE"), item.Key, lifetime, dump, []byte("REPLACE"), []byte("ABSTTL")}, err
	case item.ExpireAt != 0:
		return [][]byte{[]byte("SET"), item.Key, item.Value, []byte("PXAT"), lifetime}, nil
	}
	return [][]byte{[]byte("SET"), item.Key, item.Value}, nil
}

func (d *dumper) dump(item store.Item) ([]byte, error) {
	if d.scratch == nil {
		d.scratch = store.New(store.Options{})
	}
	e := d.scratch.Restore(item)
	defer d.scratch.Delete(e)
	return rdb.AppendDump(nil, e)
}
