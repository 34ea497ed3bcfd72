package shard

import (
	"encoding/json"
	"fmt"
	"reflect"
	"sync"
	"testing"

	"github.com/lockstepkv/lockstep/store"
)

// settle waits until all nodes have the same setting, and returns it.
func (c *cluster) settle() Memory {
	c.t.Helper()
	var m Memory
	c.eventually(func() error {
		m = c.node(c.ids[0]).Memory()
		for _, id := range c.ids {
			if other := c.node(id).Memory(); !reflect.DeepEqual(other, m) {
				return fmt.Errorf("%s has %+v, %s has %+v", c.ids[0], m, id, other)
			}
		}
		return nil
	})
	return m
}

// An acknowledged setting is not lost because a node that has not heard of others is told
// its own old value, or another parameter.
func TestMemorySettingIsNotLost(t *testing.T) {
	c := newCluster(t, 3, func(o *Options) { o.Memory = lru(10 << 30) })
	first, second := c.node("n1"), c.node("n2")
	for i := range 4 {
		old := second.Memory()
		m := first.Memory()
		m.MaxBytes = int64(5<<30 + i)
		first.SetMemory(m, ParamMaxBytes)
		first.TellMemory(t.Context())
		second.TellMemory(t.Context())
		second.SetMemory(old, ParamMaxBytes) // the old value is the one that was said last
		if got := c.settle(); got.MaxBytes != old.MaxBytes {
			t.Fatalf("round %d: %d, want %d", i, got.MaxBytes, old.MaxBytes)
		}
		first.SetMemory(m, ParamMaxBytes)
		old.Eviction.Samples = 10 + i
		second.SetMemory(old, ParamSamples) // with an old idea of the limit
		if got := c.settle(); got.MaxBytes != m.MaxBytes || got.Eviction.Samples != 10+i {
			t.Fatalf("round %d: %+v, want %d bytes and %d samples", i, got, m.MaxBytes, 10+i)
		}
	}
}

// A setting holds on the nodes that are connected before it is acknowledged.
func TestMemorySettingIsTold(t *testing.T) {
	c := newCluster(t, 3, nil)
	for i, id := range []string{"n1", "n2", "n3", "n1", "n3"} {
		n := c.node(id)
		n.TellMemory(t.Context())
		n.SetMemory(lru(int64(1000 + i)))
		n.TellMemory(t.Context())
		for _, other := range c.ids {
			if m := c.node(other).Memory(); m.MaxBytes != int64(1000+i) {
				t.Errorf("%s was told %d, %s has %d", id, 1000+i, other, m.MaxBytes)
			}
		}
	}
}

// Of settings of one parameter at the same time one remains, on all nodes the same.
func TestMemorySettingsAtTheSameTime(t *testing.T) {
	c := newCluster(t, 3, nil)
	var wg sync.WaitGroup
	for i, id := range c.ids {
		wg.Go(func() { c.node(id).SetMemory(lru(int64(1000 + i))) })
	}
	wg.Wait()
	if m := c.settle(); m.MaxBytes < 1000 || m.MaxBytes > 1002 {
		t.Errorf("%+v", m)
	}
}

// Merging comes to the same in any order, and takes nothing that no clock can come to.
func TestMergeOfMemorySettings(t *testing.T) {
	at := func(bytes int64, samples int, b, s paramVersion) (m Memory) {
		m.MaxBytes, m.Eviction.Samples = bytes, samples
		m.made[ParamMaxBytes], m.made[ParamSamples] = b, s
		return m
	}
	all := []Memory{
		at(1, 10, paramVersion{5, "n1"}, paramVersion{9, "n1"}),
		at(2, 20, paramVersion{5, "n2"}, paramVersion{8, "n2"}),
		at(3, 30, paramVersion{4, "n3"}, paramVersion{0, ""}),
		at(4, 40, paramVersion{1000, "n1"}, paramVersion{1000, "n1"}),
	}
	for _, order := range [][]int{{0, 1, 2, 3}, {0, 2, 3, 1}, {2, 3, 1, 0}, {3, 1, 0, 2}, {1, 0, 1, 2}} {
		var m Memory
		for _, i := range order {
			m.merge(&all[i], 999)
		}
		if m.MaxBytes != 2 || m.Eviction.Samples != 10 {
			t.Errorf("order %v: %+v", order, m)
		}
	}
}

// A node without versions of parameters goes by the time of the newest, and is understood.
func TestMemorySettingOfAnOlderNode(t *testing.T) {
	m := lru(100)
	m.made[ParamMaxBytes] = paramVersion{50, "n1"}
	m.made[ParamPolicy] = paramVersion{40, "n2"}
	text, err := json.Marshal(m.info())
	if err != nil {
		t.Fatal(err)
	}
	var old struct {
		At       int64  `json:"at"`
		MaxBytes int64  `json:"max_bytes"`
		Policy   string `json:"policy"`
	}
	if err := json.Unmarshal(text, &old); err != nil || old.At != 50 || old.MaxBytes != 100 || old.Policy != "allkeys-lru" {
		t.Errorf("%s: %+v, %v", text, old, err)
	}
	for at, want := range map[int64]int64{49: 100, 50: 100, 51: 7} { // its own, or what it has from us
		mine := m
		theirs, ok := memoryInfo{At: at, MaxBytes: 7, Policy: "noeviction"}.memory(mine.newest())
		mine.merge(&theirs, 1000)
		if !ok || mine.MaxBytes != want || (mine.Eviction.Policy == store.NoEviction) != (want == 7) {
			t.Errorf("told at %d: %+v", at, mine)
		}
	}
}

// TestLimitsHoldForTheNextWrite: whichever node was told, every replica's state has a limit
// before a write that comes after the setting was acknowledged.
func TestLimitsHoldForTheNextWrite(t *testing.T) {
	c := newCluster(t, 3, nil)
	for i, id := range c.ids {
		n := c.node(id)
		m := n.Memory()
		m.Limits[store.HashEntries] = int64(1 + i)
		n.TellMemory(t.Context())
		n.SetMemory(m, LimitParam(store.HashEntries))
		n.TellMemory(t.Context())
		c.want(c.ids[(i+1)%3], "SET k v", "+OK\r\n")
		leader := c.group(c.leader())
		if got := leader.fsm.Limits(); got != m.Limits {
			t.Errorf("told by %s the leader has %v", id, got)
		}
		for _, other := range c.ids {
			c.eventually(func() error {
				if got := c.group(other).fsm.Limits(); got != m.Limits {
					return fmt.Errorf("%s has %v", other, got)
				}
				return nil
			})
		}
	}
}
