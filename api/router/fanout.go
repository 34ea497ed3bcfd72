package router

import (
	"context"
	"errors"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/resp"
	"github.com/lockstepkv/lockstep/store"
)

// The cursor of SCAN over several shards is the shard in the high bits and the
// cursor within the shard below.
const scanShardShift = 48

// splitKind says how a multi-key command is cut into one command per shard.
type splitKind uint8

const (
	splitNone splitKind = iota
	splitKeys           // DEL k...: the sum of the parts
	splitMGet           // MGET k...: the values in the order of the keys
	splitMSet           // MSET k v ...: OK
)

func splitOf(name string) splitKind {
	switch name {
	case "del", "unlink", "exists", "touch":
		return splitKeys
	case "mget":
		return splitMGet
	case "mset":
		return splitMSet
	}
	return splitNone
}

// part is what one shard does of a command that concerns several.
type part struct {
	shard int
	args  command.Args
	keys  []int // splitMGet: where each value goes
	reply resp.Value
	info  command.ReadInfo
	size  int // RANDOMKEY: keys of this shard
}

// fanOut runs a command on every shard that the client sees through this node:
// all of them, or the ones this node leads when clients are redirected.
func (r *Router) fanOut(ctx context.Context, s *Session, p *plan, args command.Args) resp.Value {
	start := r.now()
	var parts []part
	for i := range r.shards {
		if s.forward || r.node.IsLeader(i) {
			parts = append(parts, part{shard: i, args: args})
		}
	}
	var v resp.Value
	switch p.name {
	case "scan", "ls.scan":
		v = r.scan(ctx, s, p, parts, args)
	case "ls.locks":
		v = r.listLocks(ctx, s, p, parts, args)
	default:
		r.runParts(ctx, s, p, parts)
		v = merge(p, parts)
	}
	r.observe(s, p, args, v, r.now().Sub(start))
	return v
}

// spread runs a multi-key command whose keys are on several shards. It is
// atomic on each shard, not across them.
func (r *Router) spread(ctx context.Context, s *Session, p *plan, args command.Args) resp.Value {
	start := r.now()
	parts := r.splitArgs(p, args)
	var v resp.Value
	if parts == nil {
		v = errArity(p.name)
	} else {
		r.runParts(ctx, s, p, parts)
		v = mergeSplit(p.split, parts, len(args)-1)
	}
	r.observe(s, p, args, v, r.now().Sub(start))
	return v
}

func (r *Router) splitArgs(p *plan, args command.Args) []part {
	step := 1
	if p.split == splitMSet {
		if step = 2; len(args)%2 == 0 {
			return nil
		}
	}
	var parts []part
	byShard := make(map[int]int)
	for i := 1; i < len(args); i += step {
		shard := int(r.slots[store.Slot(args[i])])
		n, ok := byShard[shard]
		if !ok {
			n = len(parts)
			byShard[shard] = n
			parts = append(parts, part{shard: shard, args: command.Args{args[0]}})
		}
		parts[n].args = append(parts[n].args, args[i:i+step]...)
		parts[n].keys = append(parts[n].keys, i-1)
	}
	return parts
}

// runParts runs each part on its shard, side by side.
func (r *Router) runParts(ctx context.Context, s *Session, p *plan, parts []part) {
	size := 0
	for i := range parts {
		size += commandSize(parts[i].args)
	}
	ctx, cancel := context.WithTimeout(ctx, r.timeout(size))
	defer cancel()
	var wg sync.WaitGroup
	for i := range parts {
		wg.Go(func() { r.runPart(ctx, s, p, &parts[i]) })
	}
	wg.Wait()
}

func (r *Router) runPart(ctx context.Context, s *Session, p *plan, pt *part) {
	shard := r.shards[pt.shard]
	if p.write {
		var index uint64
		pt.reply, index = r.proposeOne(ctx, shard, pt.args)
		s.noteWrite(index)
		return
	}
	op, err := p.spec.Parse(pt.args)
	if err != nil {
		pt.reply = readError(err)
		return
	}
	if pt.info, err = shard.Read(ctx, s.read, func(c *command.Ctx) {
		c.BoundReplies, c.ReplyBytes = s.kind == KindHTTP, int(s.replyBytes.Load())
		pt.reply = p.spec.Run(c, op)
		pt.size = c.Store.Len()
	}); err != nil {
		pt.reply = readError(err)
	}
	if s.kind == KindHTTP {
		s.replyBytes.Add(int64(command.ReplyCost(pt.reply)))
	}
}

// merge joins the replies of an all-shards command.
func merge(p *plan, parts []part) resp.Value {
	if v, failed := firstError(parts, p.write); failed {
		return v
	}
	switch p.name {
	case "dbsize", "ls.lockcount":
		return sum(parts)
	case "keys":
		var all []resp.Value
		for i := range parts {
			all = append(all, parts[i].reply.Elems...)
		}
		return resp.Array(all...)
	case "randomkey":
		return pickRandom(parts)
	}
	if len(parts) == 0 {
		return resp.OK
	}
	return parts[0].reply
}

// pickRandom picks one shard's key with a chance that grows with its size.
func pickRandom(parts []part) resp.Value {
	total := 0
	for i := range parts {
		if !parts[i].reply.IsNil() {
			total += max(parts[i].size, 1)
		}
	}
	if total == 0 {
		return resp.Nil
	}
	n := rand.IntN(total)
	for i := range parts {
		if parts[i].reply.IsNil() {
			continue
		}
		if n -= max(parts[i].size, 1); n < 0 {
			return parts[i].reply
		}
	}
	return resp.Nil
}

func mergeSplit(kind splitKind, parts []part, n int) resp.Value {
	if v, failed := firstError(parts, kind != splitMGet); failed {
		return v
	}
	switch kind {
	case splitKeys:
		return sum(parts)
	case splitMGet:
		out := make([]resp.Value, n)
		for _, pt := range parts {
			for i, at := range pt.keys {
				out[at] = pt.reply.Elems[i]
			}
		}
		return resp.Array(out...)
	}
	return resp.OK
}

func sum(parts []part) resp.Value {
	var n int64
	for i := range parts {
		n += parts[i].reply.Int
	}
	return resp.Int(n)
}

// firstError returns the error that the whole command answers, if any part
// failed. When a write was applied by some shards only, no definite error would
// be true.
func firstError(parts []part, write bool) (resp.Value, bool) {
	var first resp.Value
	failed := 0
	for i := range parts {
		if v := parts[i].reply; v.IsError() {
			failed++
			if first.Kind != resp.KindError || strings.HasPrefix(string(v.Str), "INDOUBT") {
				first = v
			}
		}
	}
	if failed == 0 {
		return resp.Value{}, false
	}
	if write && failed < len(parts) {
		return resp.Err("INDOUBT applied on " + strconv.Itoa(len(parts)-failed) + " of " +
			strconv.Itoa(len(parts)) + " shards: " + string(first.Str)), true
	}
	return first, true
}

// scan runs one step of SCAN on the shard that the cursor names. parts are the
// shards to visit, in order.
func (r *Router) scan(ctx context.Context, s *Session, p *plan, parts []part, args command.Args) resp.Value {
	cursor, err := strconv.ParseUint(string(args[1]), 10, 64)
	if err != nil {
		return resp.Err("ERR invalid cursor")
	}
	at := 0
	for at < len(parts) && parts[at].shard < int(cursor>>scanShardShift) {
		at++
	}
	if at == len(parts) {
		return scanReply(0, nil)
	}
	inner := cursor & (1<<scanShardShift - 1)
	if parts[at].shard != int(cursor>>scanShardShift) {
		inner = 0 // this node no longer leads the shard that the cursor names
	}
	one := append(command.Args{args[0], strconv.AppendUint(nil, inner, 10)}, args[2:]...)
	pts := []part{{shard: parts[at].shard, args: one}}
	r.runParts(ctx, s, p, pts)
	v := pts[0].reply
	if v.IsError() {
		return v
	}
	s.lastRead = pts[0].info
	next, err := scanCursor(v)
	switch {
	case err != nil:
		return resp.Err("ERR " + err.Error())
	case next != 0:
		next |= uint64(parts[at].shard) << scanShardShift
	case at+1 < len(parts):
		next = uint64(parts[at+1].shard) << scanShardShift
	}
	return scanReply(next, v.Elems[1].Elems)
}

var errScanReply = errors.New("malformed reply of SCAN")

func scanCursor(v resp.Value) (uint64, error) {
	if v.Kind != resp.KindArray || len(v.Elems) != 2 {
		return 0, errScanReply
	}
	return strconv.ParseUint(string(v.Elems[0].Str), 10, scanShardShift)
}

func scanReply(cursor uint64, keys []resp.Value) resp.Value {
	return resp.Array(resp.Bulk(strconv.AppendUint(nil, cursor, 10)), resp.Array(keys...))
}

// observe counts one command that ran by itself.
func (r *Router) observe(s *Session, p *plan, args command.Args, v resp.Value, elapsed time.Duration) {
	var failed int64
	if v.IsError() {
		failed = 1
		r.errs.count(v)
	}
	p.stats.observe(1, failed, elapsed, elapsed)
	r.ops.add(r.now().Unix(), 1)
	r.slow(s, p, args, 1, elapsed)
}
