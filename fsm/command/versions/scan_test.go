package versions

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/fsm/command/commandtest"
)

func TestLSScan(t *testing.T) {
	ctx := commandtest.NewCtx(command.NewTable(Commands))
	for i := range 300 {
		commandtest.Do(ctx, fmt.Sprintf("LS.PUT a:%d v%d", i, i))
		commandtest.Do(ctx, fmt.Sprintf("LS.PUT b:%d x PX 60000", i))
	}
	commandtest.Do(ctx, "LS.PUT a:0 changed PX 5000")
	commandtest.Do(ctx, "LS.PUT a:dead x PX 1")
	ctx.Now, ctx.Wall = ctx.Now+10, ctx.Wall+10
	for _, count := range []int{1, 7, 100, 10_000} {
		seen := map[string]bool{}
		for cursor := "0"; ; {
			v := commandtest.Do(ctx, fmt.Sprintf("LS.SCAN %s PREFIX a: COUNT %d VALUES", cursor, count))
			if len(v.Elems[1].Elems) > count {
				t.Fatalf("%d keys, asked for %d", len(v.Elems[1].Elems), count)
			}
			for _, e := range v.Elems[1].Elems {
				key := string(e.Elems[0].Str)
				want := "v" + strings.TrimPrefix(key, "a:")
				ttl := int64(-1)
				if key == "a:0" {
					want, ttl = "changed", 4990
				}
				if seen[key] || string(e.Elems[1].Str) != "string" || string(e.Elems[4].Str) != want || e.Elems[3].Int != ttl {
					t.Fatalf("%s: %q", key, commandtest.Show(e))
				}
				if got := commandtest.Do(ctx, "LS.GET "+key).Elems[2].Int; got != e.Elems[2].Int {
					t.Fatalf("%s: version %d, want %d", key, e.Elems[2].Int, got)
				}
				seen[key] = true
			}
			if cursor = string(v.Elems[0].Str); cursor == "0" {
				break
			}
		}
		if len(seen) != 300 {
			t.Errorf("with COUNT %d: %d keys, want 300", count, len(seen))
		}
	}
	if v := commandtest.Do(ctx, "LS.SCAN 0 COUNT 1"); len(v.Elems[1].Elems) != 1 || len(v.Elems[1].Elems[0].Elems) != 4 {
		t.Errorf("without VALUES: %q", commandtest.Show(v))
	}
	for _, l := range []string{"LS.SCAN x", "LS.SCAN -1", "LS.SCAN 0 COUNT", "LS.SCAN 0 COUNT 0", "LS.SCAN 0 COUNT x", "LS.SCAN 0 MATCH *"} {
		if v := commandtest.Do(ctx, l); !v.IsError() {
			t.Errorf("%s: %q", l, commandtest.Show(v))
		}
	}
}

// TestLSScanIsBounded: neither many keys without the prefix nor large values make one
// page long.
func TestLSScanIsBounded(t *testing.T) {
	ctx := commandtest.NewCtx(command.NewTable(Commands))
	for i := range maxListVisits + 1000 {
		ctx.Store.Put([]byte("k"+strconv.Itoa(i)), nil, 0, false)
	}
	v := commandtest.Do(ctx, "LS.SCAN 0 PREFIX nothing COUNT 10")
	if len(v.Elems[1].Elems) != 0 || string(v.Elems[0].Str) == "0" {
		t.Errorf("a page looked at everything: %.100q", commandtest.Show(v))
	}
	ctx = commandtest.NewCtx(command.NewTable(Commands))
	for i := range 12 {
		ctx.Store.Put([]byte("k"+strconv.Itoa(i)), make([]byte, maxListValues/3+1000), 0, false)
	}
	v = commandtest.Do(ctx, "LS.SCAN 0 COUNT 100 VALUES")
	if n := len(v.Elems[1].Elems); n != 3 {
		t.Errorf("a page has %d large values", n)
	}
	// A value of any length is listed, alone or after small ones.
	ctx = commandtest.NewCtx(command.NewTable(Commands))
	ctx.InLog = true
	for i := range 20 {
		ctx.Store.Put([]byte("k"+strconv.Itoa(i)), nil, 0, false)
	}
	ctx.Store.Put([]byte("big"), make([]byte, command.MaxReplyBytes+1), 0, false)
	listed := 0
	for cursor := "0"; ; {
		if v = commandtest.Do(ctx, "LS.SCAN "+cursor+" COUNT 100 VALUES"); v.IsError() {
			t.Fatalf("%.100q", commandtest.Show(v))
		}
		listed += len(v.Elems[1].Elems)
		ctx.ReplyBytes = 0
		if cursor = string(v.Elems[0].Str); cursor == "0" {
			break
		}
	}
	if listed != 21 {
		t.Errorf("%d keys are listed", listed)
	}
}
