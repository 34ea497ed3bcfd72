package shard

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/store"
	"github.com/lockstepkv/lockstep/transport"
)

// TestKeysReadFromAFollowerAreNotEvicted: the leader, which chooses what to
// evict, never answers a read here.
func TestKeysReadFromAFollowerAreNotEvicted(t *testing.T) {
	for _, policy := range []store.Policy{store.AllKeysLRU, store.AllKeysLFU, store.AllKeysSieve} {
		t.Run(policy.String(), func(t *testing.T) {
			const hot = 10
			c := newCluster(t, 3, func(o *Options) {
				patient(o)
				o.Memory = Memory{MaxBytes: 100_000, Eviction: store.Options{Policy: policy, Samples: 20}}
			})
			leader := c.leader()
			follower := c.others(leader)[0]
			c.eventually(func() error {
				if !c.group(follower).fsm.ReadLog().On() {
					return fmt.Errorf("%s does not remember reads", follower)
				}
				return nil
			})
			value := strings.Repeat("v", 1000)
			for i := range hot {
				c.want(follower, fmt.Sprintf("SET hot%d %s", i, value), "+OK\r\n")
			}
			for i := range 300 {
				c.want(follower, fmt.Sprintf("SET cold%d %s", i, value), "+OK\r\n")
				if i%5 == 0 {
					for j := range hot {
						c.want(follower, fmt.Sprintf("GET hot%d", j), fmt.Sprintf("$1000\r\n%s\r\n", value))
					}
				}
			}
			if c.leader() != leader {
				t.Fatal("the leader changed, this run shows nothing")
			}
			if c.group(leader).fsm.ReadLog().On() {
				t.Error("the leader remembers reads for nobody")
			}
			if evicted, _ := c.group(leader).fsm.Counters(); evicted < 200 {
				t.Errorf("only %d keys were evicted", evicted)
			}
		})
	}
}

func TestReportOfReadsIsNotTrusted(t *testing.T) {
	c := newCluster(t, 1, nil)
	c.want("n1", "SET k v", "+OK\r\n")
	for n := range 20 {
		c.group("n1").countReads(make([]byte, n))
	}
	c.want("n1", "GET k", "$1\r\nv\r\n")
}

// set writes through a node and returns the index that it was told.
func (c *cluster) set(id, key, value string) (index uint64) {
	c.t.Helper()
	b := command.Batch{Index: &index}
	b.Add(command.Args{[]byte("SET"), []byte(key), []byte(value)})
	if _, err := c.group(id).Propose(c.t.Context(), b); err != nil {
		c.t.Fatal(err)
	}
	return index
}

func (c *cluster) staleGet(id, key string, min uint64, patience time.Duration) (value string, info command.ReadInfo, err error) {
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	info, err = c.group(id).Read(ctx, command.ReadOptions{Consistency: command.Stale, MinIndex: min}, func(ctx *command.Ctx) {
		if e := ctx.Peek([]byte(key)); e != nil {
			value = string(e.Bytes())
		}
	})
	return value, info, err
}

// TestStaleReadsSeeTheWriteThatTheyName, through whatever nodes either goes.
func TestStaleReadsSeeTheWriteThatTheyName(t *testing.T) {
	c := newCluster(t, 3, patient)
	leader := c.leader()
	nodes := append(c.others(leader), leader)
	for i := range 60 {
		from, to, want := nodes[i%3], nodes[(i/3)%3], fmt.Sprint(i)
		index := c.set(from, "k", want)
		got, info, err := c.staleGet(to, "k", index, time.Minute)
		if err != nil || got != want || info.Index < index {
			t.Fatalf("written through %s at %d, read through %s: %q at %d, %v", from, index, to, got, info.Index, err)
		}
	}
	follower := nodes[0]
	seen := c.set(follower, "k", "seen")
	c.want(follower, "GET k", "$4\r\nseen\r\n")
	for _, p := range c.others(follower) {
		c.faults[follower].Set(p, transport.Inbound, transport.Drop)
		c.faults[follower].Set(p, transport.Outbound, transport.Drop)
	}
	unseen := c.set(c.leader(), "k", "unseen")
	if got, _, err := c.staleGet(follower, "k", seen, time.Minute); err != nil || got != "seen" {
		t.Errorf("what is here: %q, %v", got, err)
	}
	if _, _, err := c.staleGet(follower, "k", unseen, 300*time.Millisecond); !errors.Is(err, command.ErrUnavailable) {
		t.Errorf("what is not here was answered: %v", err)
	}
	c.faults[follower].Heal()
	// An index that no entry of this shard has yet: the newest state answers.
	if got, _, err := c.staleGet(follower, "k", unseen+1000, time.Minute); err != nil || got != "unseen" {
		t.Errorf("after the cut: %q, %v", got, err)
	}
}
