package aof

import (
	"context"
	"slices"
	"testing"

	"github.com/lockstepkv/lockstep/snapshot/rdbtest"
	"github.com/lockstepkv/lockstep/store"
	"github.com/lockstepkv/lockstep/store/effect"
	"github.com/lockstepkv/lockstep/store/value/list"
)

// TestEffectsOfLists: the commands bring Redis to where the store is.
func TestEffectsOfLists(t *testing.T) {
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
		rdbtest.SameLists(t, rdbtest.RedisLists(t, c), rdbtest.ListsOf(m.Store))
		if n := c.DBSize(ctx).Val(); n != int64(m.Store.Len()) {
			t.Errorf("%d keys, want %d", n, m.Store.Len())
		}
		return names
	}
	said := func(e *store.Entry, fresh bool) {
		m.log.Add(effect.Effect{Kind: effect.Put, New: fresh, Key: e.Key(), Entry: e})
	}
	rdbtest.FillLists(m.Store)
	m.Store.Each(func(e *store.Entry) bool { said(e, true); return true })
	replay()
	if at := c.PExpireTime(ctx, "list, of one").Val().Milliseconds(); at != rdbtest.Now+1000 {
		t.Errorf("expires at %d", at)
	}
	push := func(key string) *store.Entry {
		return m.Store.UpdateList(m.Store.Get([]byte(key)), func(l *list.List) bool {
			l.PushFront([]byte("pushed"))
			return true
		})
	}
	said(push("list, packed"), false)
	if names := replay(); !slices.Equal(names, []string{"DEL", "RPUSH"}) {
		t.Errorf("a whole list is %v", names)
	}
	m.log.Add(effect.Effect{Kind: effect.Change, Edits: []effect.Edit{{[]byte("LPUSH"), []byte("pushed")}},
		Key: "list, large by number", Entry: push("list, large by number")})
	if names := replay(); !slices.Equal(names, []string{"LPUSH"}) {
		t.Errorf("an edit is %v", names)
	}
	m.Put([]byte("list, packed"), []byte("a string"), 0, false)
	m.Copy(m.Store.Get([]byte("list, of one")), []byte("copied"))
	m.Rename(m.Store.Get([]byte("list, of one")), []byte("list, large by length"))
	m.Delete(m.Store.Get([]byte("list, large by number")))
	replay()
}
