package workload

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/lockstepkv/lockstep/jepsen/check"
	"github.com/lockstepkv/lockstep/jepsen/client"
	"github.com/lockstepkv/lockstep/jepsen/history"
	"github.com/lockstepkv/lockstep/resp"
)

// register reads, writes, deletes, and compares and sets single keys, the last
// by versions (LS.PUT IFVERSION, HTTP if_version), by SET NX and by WATCH.
type register struct {
	recorded[check.RegisterInput, check.RegisterOutput]
	keys keyring
}

func newRegister(o Options) Workload {
	return &register{newRecorded[check.RegisterInput, check.RegisterOutput]("register", o), keyring{prefix: "r", active: 5, per: 120}}
}

// Step implements Workload.
func (r *register) Step(ctx context.Context, w *Worker) {
	key, c := r.keys.pick(r.rec.Len(), w.Rand), w.anywhere()
	switch n := w.Rand.IntN(100); {
	case n < 40:
		r.read(ctx, w, c, key)
	case n < 65:
		in := check.RegisterInput{Value: w.unique()}
		r.write(w, c, check.RegisterWrite, key, in, func() client.Reply { return c.Do(ctx, "SET", key, in.Value) })
	case n < 70:
		r.write(w, c, check.RegisterDelete, key, check.RegisterInput{}, func() client.Reply { return c.Do(ctx, "DEL", key) })
	case n < 75:
		r.setAbsent(ctx, w, c, key)
	case n < 85:
		if redis, ok := c.(*client.Redis); ok {
			r.watch(ctx, w, redis, key)
			return
		}
		fallthrough
	default:
		r.casByVersion(ctx, w, c, key)
	}
}

func (r *register) write(w *Worker, c client.Client, kind, key string, in check.RegisterInput, request func() client.Reply) {
	r.do(w, c.Node(), kind, key, in, request, func(client.Reply) (check.RegisterOutput, error) {
		return check.RegisterOutput{Swapped: kind == check.RegisterCAS}, nil
	})
}

// read reads a key and returns its version; 0 is absent.
func (r *register) read(ctx context.Context, w *Worker, c client.Client, key string) (value string, version int64, ok bool) {
	reply, ok := r.do(w, c.Node(), check.RegisterRead, key, check.RegisterInput{},
		func() client.Reply { return c.Do(ctx, "LS.GET", key) },
		func(reply client.Reply) (check.RegisterOutput, error) {
			if reply.Value.IsNil() {
				return check.RegisterOutput{}, nil
			}
			if len(reply.Value.Elems) < 3 {
				return check.RegisterOutput{}, fmt.Errorf("LS.GET answered %v", reply.Value)
			}
			return check.RegisterOutput{Found: true, Value: string(reply.Value.Elems[1].Str)}, nil
		})
	if ok && !reply.Value.IsNil() {
		value, version = string(reply.Value.Elems[1].Str), reply.Value.Elems[2].Int
	}
	return value, version, ok
}

// casByVersion reads a version and writes if it is still the same. The versions
// of a key never come back, so that is a comparison with the value read.
func (r *register) casByVersion(ctx context.Context, w *Worker, c client.Client, key string) {
	value, version, ok := r.read(ctx, w, c, key)
	if !ok {
		return
	}
	in := check.RegisterInput{Value: w.unique(), Expect: value, ExpectAbsent: version == 0}
	r.write(w, c, check.RegisterCAS, key, in, func() client.Reply {
		return c.Do(ctx, "LS.PUT", key, in.Value, "IFVERSION", strconv.FormatInt(version, 10))
	})
}

func (r *register) setAbsent(ctx context.Context, w *Worker, c client.Client, key string) {
	in := check.RegisterInput{Value: w.unique(), ExpectAbsent: true}
	r.do(w, c.Node(), check.RegisterCAS, key, in,
		func() client.Reply { return c.Do(ctx, "SET", key, in.Value, "NX") },
		func(reply client.Reply) (check.RegisterOutput, error) {
			return check.RegisterOutput{Swapped: !reply.Value.IsNil()}, nil
		})
}

// watch is the optimistic transaction of Redis.
func (r *register) watch(ctx context.Context, w *Worker, c *client.Redis, key string) {
	if reply := c.Do(ctx, "WATCH", key); reply.Outcome != history.OK {
		w.Failures++
		c.Close() // whatever was watched is forgotten
		return
	}
	value, version, ok := r.read(ctx, w, c, key)
	if !ok {
		c.Close()
		return
	}
	in := check.RegisterInput{Value: w.unique(), Expect: value, ExpectAbsent: version == 0}
	r.write(w, c, check.RegisterCAS, key, in, func() client.Reply {
		return c.Tx(ctx, [][]string{{"SET", key, in.Value}})
	})
}

// Final implements Workload.
func (r *register) Final(ctx context.Context, w *Worker) {
	for i, key := range r.keys.used(r.rec.Len()) {
		r.read(ctx, w, w.All[i%len(w.All)], key)
	}
}

// Check implements Workload.
func (r *register) Check() check.Verdict {
	return check.Register(r.rec.History(), check.RegisterOptions{
		Timeout:   3 * time.Minute,
		Visualize: func(key string, page []byte) { r.opt.Page("linearizability of "+key, page) },
	})
}

// text is a string reply.
func text(v resp.Value) (s string, found bool, err error) {
	switch v.Kind {
	case resp.KindNil, resp.KindNilArray:
		return "", false, nil
	case resp.KindBulk, resp.KindSimple, resp.KindVerbatim:
		return string(v.Str), true, nil
	}
	return "", false, fmt.Errorf("a reply of kind %d where a string belongs", v.Kind)
}
