package stats

import (
	"fmt"
	"testing"
	"time"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/resp"
)

func TestCommandsAreFoundByTheirFullName(t *testing.T) {
	s := New([]*command.Spec{{Name: "set"}, {Name: "config", Sub: []*command.Spec{{Name: "config|set"}, {Name: "config|get"}}}, {Name: "get"}})
	var names []string
	for _, c := range s.Commands() {
		names = append(names, c.Name())
	}
	if got := fmt.Sprint(names); got != "[config config|get config|set get set]" {
		t.Error(got)
	}
	for name, want := range map[string]bool{"GET": true, "Config|Get": true, "config": true, "config|": false, "": false, "sett": false} {
		if got := s.Command(name) != nil; got != want {
			t.Errorf("%q found: %v", name, got)
		}
	}
}

// TestBatchesShareTheirTime: each command of a batch has waited for all of it, and has its part
// of the work.
func TestBatchesShareTheirTime(t *testing.T) {
	s := New([]*command.Spec{{Name: "get"}})
	c := s.Command("get")
	c.Observe(4, 1, 8*time.Microsecond, 2*time.Microsecond)
	c.Observe(1, 0, time.Hour, time.Hour)
	h := c.Histogram()
	if c.Calls.Load() != 5 || c.Failed.Load() != 1 || c.Micros.Load() != 8+3600e6 || c.Waited.Load() != 32+3600e6 || h[3] != 4 || h[Buckets-1] != 1 {
		t.Errorf("%d calls, %d failed, %d and %d us, %v", c.Calls.Load(), c.Failed.Load(), c.Micros.Load(), c.Waited.Load(), h)
	}
	if got := Percentile(h, 0.5); got != 8 {
		t.Errorf("the median is up to %d us", got)
	}
	s.Reset()
	if got := Percentile(c.Histogram(), 0.5); got != 0 || c.Calls.Load() != 0 {
		t.Errorf("after a reset: %d, %d calls", got, c.Calls.Load())
	}
}

func TestErrorCodesAreBounded(t *testing.T) {
	var e Errors
	for i := range 1000 {
		e.Count(resp.Err(fmt.Sprintf("CODE%d text", i)))
	}
	e.Count(resp.Err("CODE0"))
	list := e.List()
	if len(list) != maxErrorCodes || e.Total() != 1001 || list[0] != (CodeCount{"CODE0", 2}) {
		t.Errorf("%d codes of %d errors, first %v", len(list), e.Total(), list[0])
	}
}
