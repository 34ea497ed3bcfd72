package lists

import (
	"fmt"
	"testing"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/fsm/command/commandtest"
)

// BenchmarkLongRead is how long the state is held by LRANGE of a million elements, when its
// reply must be whole at once and when it may be made later.
func BenchmarkLongRead(b *testing.B) {
	ctx := newCtx()
	for from := 0; from < 1<<20; from += 1 << 12 {
		push := commandtest.Line("RPUSH l")
		for i := range 1 << 12 {
			push = append(push, fmt.Appendf(nil, "element:%08d", from+i))
		}
		ctx.Table.Exec(ctx, push)
	}
	ctx.InLog = false
	args := commandtest.Line("LRANGE l 0 -1")
	b.Run("at once", func(b *testing.B) {
		for b.Loop() {
			ctx.Table.Exec(ctx, args)
		}
	})
	b.Run("later", func(b *testing.B) {
		var rest command.Rest
		ctx.Rest = &rest
		for b.Loop() {
			ctx.Table.Exec(ctx, args)
			rest.Drop()
		}
	})
}
