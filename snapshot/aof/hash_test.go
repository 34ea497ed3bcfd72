package aof

import (
	"context"
	"slices"
	"testing"

	"github.com/lockstepkv/lockstep/snapshot/rdbtest"
	"github.com/lockstepkv/lockstep/store"
	"github.com/lockstepkv/lockstep/store/effect"
	"github.com/lockstepkv/lockstep/store/value/hash"
)

// TestEffectsOfHashes: the commands bring Redis to where the store is.
func TestEffectsOfHashes(t *testing.T) {
	ctx := context.Background()
	m := newMachine()
	c, _ := rdbtest.StartRedis(t, t.TempDir())
	replay := func() (names []string) {
		t.Helper()
		for _, cmd := range m.take() {
			args := make([]any, len(cmd))
			for i := range cmd {
				args[i] = cmd[i]
			}
			if err := c.Do(ctx, args...).Err(); err != nil {
				t.Fatalf("%s: %v", cmd[0], err)
			}
			names = append(names, string(cmd[0]))
		}
		rdbtest.SameHashes(t, rdbtest.RedisHashes(t, c), rdbtest.HashesOf(m.Store))
		if n := c.DBSize(ctx).Val(); n != int64(m.Store.Len()) {
			t.Errorf("%d keys, want %d", n, m.Store.Len())
		}
		return names
	}
	said := func(e *store.Entry, fresh bool) *store.Entry {
		m.log.Add(effect.Effect{Kind: effect.Put, New: fresh, Key: e.Key(), Entry: e})
		return e
	}
	set := func(key, field, value string) *store.Entry {
		return said(m.Store.UpdateHash(m.Store.Get([]byte(key)), func(h *hash.Hash) bool {
			h.Set([]byte(field), []byte(value), hash.DefaultLimits())
			return true
		}), false)
	}
	rdbtest.FillHashes(m.Store)
	m.Store.Each(func(e *store.Entry) bool { said(e, true); return true })
	replay()
	set("packed", "f1", "other")
	set("large by number", "new", "value")
	m.SetExpireAt(set("packed", "f1", "once more"), rdbtest.Now+5)
	replay()
	if at := c.PExpireTime(ctx, "packed").Val().Milliseconds(); at != rdbtest.Now+5 {
		t.Errorf("expires at %d", at)
	}
	edit := func(key string, edits ...effect.Edit) {
		m.log.Add(effect.Effect{Kind: effect.Change, Edits: edits, Key: key, Entry: m.Store.UpdateHash(m.Store.Get([]byte(key)),
			func(h *hash.Hash) bool {
				for _, e := range edits {
					h.Set(e[1], e[2], hash.DefaultLimits())
				}
				return true
			})})
	}
	hset := func(field, value string) effect.Edit {
		return effect.Edit{[]byte("HSET"), []byte(field), []byte(value)}
	}
	edit("large by number", hset("f1", "edited"), hset("new", "edited"))
	m.SetExpireAt(m.Store.Get([]byte("large by number")), rdbtest.Now+7)
	edit("large by number", hset("f2", "after its lifetime"))
	if names := replay(); !slices.Equal(names, []string{"HSET", "HSET", "PEXPIREAT", "HSET"}) {
		t.Errorf("edits are %v", names)
	}
	set("large by number", "f3", "whole")
	edit("large by number", hset("f4", "and an edit"))
	if names := replay(); names[0] != "DEL" {
		t.Errorf("the whole value and an edit are %v", names)
	}
	m.SetExpireAt(m.Store.Get([]byte("packed")), rdbtest.Now+6)
	m.SetExpireAt(m.Store.Get([]byte("large by length")), 0)
	if names := replay(); !slices.Equal(names, []string{"PEXPIREAT", "PERSIST"}) {
		t.Errorf("another lifetime is %v", names)
	}
	m.Put([]byte("packed"), []byte("a string"), 0, false)
	rdbtest.PutHash(m.Store, "key:000000000001", hash.DefaultLimits(), 0, "a hash over a string")
	said(m.Store.Get([]byte("key:000000000001")), false)
	m.Copy(m.Store.Get([]byte("names")), []byte("copied"))
	m.Rename(m.Store.Get([]byte("names")), []byte("large by length"))
	m.Delete(m.Store.Get([]byte("large by number")))
	replay()
}
