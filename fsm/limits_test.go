package fsm

import (
	"testing"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/store"
)

// TestLimitsComeFromTheLog: an entry sets them for what comes after it, and a snapshot has
// them. What no setting may be, and what no version knows, is passed over.
func TestLimitsComeFromTheLog(t *testing.T) {
	r := &replica{f: newTestFSM()}
	want := store.DefaultLimits()
	seen := func() (l store.Limits) {
		r.f.View(Stamp{}, func(ctx *command.Ctx) { l = *ctx.Limits })
		return l
	}
	if got := seen(); got != want {
		t.Fatalf("at the start: %v", got)
	}
	list := -5 // not a constant, which would not fit
	e := Entry{StampMillis: 1, Settings: []SettingChange{
		{LimitSetting(store.HashEntries), 7}, {LimitSetting(store.ListSize), uint64(list)},
		{LimitSetting(store.SetIntset), 1 << 40}, {LimitSetting(store.LimitCount), 1},
	}}
	r.apply(e.AppendTo(nil))
	want[store.HashEntries], want[store.ListSize] = 7, -5
	if got := seen(); got != want || got != r.f.Limits() {
		t.Errorf("they are %v, want %v", got, want)
	}
	var state []byte
	for _, part := range r.f.encodeState() {
		state = append(state, part...)
	}
	other := newTestFSM()
	if err := other.decodeState(state); err != nil || other.limits != want {
		t.Errorf("a restored state has %v, %v", other.limits, err)
	}
	for cut := range len(state) {
		if err := newTestFSM().decodeState(state[:cut]); err == nil {
			t.Fatalf("%d of %d bytes are a state", cut, len(state))
		}
	}
}
