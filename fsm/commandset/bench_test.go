package commandset

import (
	"fmt"
	"testing"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/fsm/command/commandtest"
)

func BenchmarkLookup(b *testing.B) {
	table := New()
	name := []byte("GeTRange")
	b.ReportAllocs()
	for b.Loop() {
		if table.Lookup(name) == nil {
			b.Fatal("not found")
		}
	}
}

func benchmarkCommand(b *testing.B, format string) {
	ctx := commandtest.NewCtx(New())
	const keys = 10_000
	lines := make([]command.Args, keys)
	for i := range lines {
		commandtest.Do(ctx, fmt.Sprintf("SET key:%d 12345", i))
		lines[i] = commandtest.Line(fmt.Sprintf(format, i))
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		ctx.Table.Exec(ctx, lines[i%keys])
		i++
	}
}

func BenchmarkGet(b *testing.B)         { benchmarkCommand(b, "GET key:%d") }
func BenchmarkSet(b *testing.B)         { benchmarkCommand(b, "SET key:%d xxx") }
func BenchmarkSetPX(b *testing.B)       { benchmarkCommand(b, "SET key:%d xxx PX 100000") }
func BenchmarkIncr(b *testing.B)        { benchmarkCommand(b, "INCR key:%d") }
func BenchmarkExpire(b *testing.B)      { benchmarkCommand(b, "EXPIRE key:%d 1000") }
func BenchmarkIncrByFloat(b *testing.B) { benchmarkCommand(b, "INCRBYFLOAT key:%d 0.1") }

func BenchmarkRunUnit(b *testing.B) {
	ctx := commandtest.NewCtx(New())
	var batch command.Batch
	for i := range 100 {
		batch.Add(commandtest.Line(fmt.Sprintf("SET key:%d xxx", i)))
	}
	var r command.UnitReader
	var u command.Unit
	b.ReportAllocs()
	for b.Loop() {
		r.Reset(batch.Body)
		for !r.Done() {
			if err := r.Next(&u); err != nil {
				b.Fatal(err)
			}
			ctx.Table.RunUnit(ctx, &u)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*batch.N), "ns/command")
}

func TestLookupAndCheckDoNotAllocate(t *testing.T) {
	table := New()
	args := commandtest.Line("GET key")
	if n := testing.AllocsPerRun(100, func() {
		sp, err := table.Check(args)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := sp.KeysOf(args); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
