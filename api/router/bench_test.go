package router_test

import (
	"context"
	"testing"

	"github.com/lockstepkv/lockstep/api/router"
	"github.com/lockstepkv/lockstep/api/router/routertest"
	"github.com/lockstepkv/lockstep/resp"
)

// BenchmarkPipeline measures what the router adds to a command of a pipeline,
// over shards that cost next to nothing.
func BenchmarkPipeline(b *testing.B) {
	for _, c := range []struct {
		name, line string
		depth      int
		shards     int
	}{
		{"GET/1", "GET key", 1, 1}, {"GET/16", "GET key", 16, 1}, {"GET/16/4shards", "GET key", 16, 4},
		{"SET/1", "SET key value", 1, 1}, {"SET/16", "SET key value", 16, 1}, {"PING/16", "PING", 16, 1},
	} {
		b.Run(c.name, func(b *testing.B) {
			r, _, s := newRouter(b, routertest.Options{Shards: c.shards}, router.Config{})
			ctx := context.Background()
			r.Do(ctx, s, cmd("SET key value"))
			var cmds [][][]byte
			for range c.depth {
				cmds = append(cmds, cmd(c.line))
			}
			var out []resp.Value
			b.ReportAllocs()
			for n := 0; n < b.N; n += c.depth {
				out = r.DoPipeline(ctx, s, cmds, out[:0])
			}
		})
	}
}
