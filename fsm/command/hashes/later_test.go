package hashes

import (
	"fmt"
	"testing"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/fsm/command/commandtest"
)

// TestLongReadsAreMadeLater, from what the hash was when they were answered.
func TestLongReadsAreMadeLater(t *testing.T) {
	ctx := commandtest.NewCtx(command.NewTable(Commands))
	many := commandtest.Line("HSET h")
	for i := range 2000 {
		many = append(many, fmt.Append(nil, "field", i), fmt.Append(nil, i))
	}
	ctx.Table.Exec(ctx, many)
	lines := []string{"HGETALL h", "HKEYS h", "HVALS h"}
	want := make([]string, len(lines))
	rests := make([]command.Rest, len(lines))
	for i, line := range lines {
		want[i] = commandtest.Show(commandtest.Do(ctx, line))
		later := *ctx
		later.InLog, later.Rest = false, &rests[i]
		commandtest.Do(&later, line)
		if !rests[i].Left() {
			t.Fatalf("%s was answered at once", line)
		}
	}
	for i := range 2000 {
		commandtest.Do(ctx, fmt.Sprint("HSET h field", i, " x"))
	}
	for i := range rests {
		if got := commandtest.Show(rests[i].Reply()); got != want[i] {
			t.Errorf("%s = %.60q, want %.60q", lines[i], got, want[i])
		}
	}
}
