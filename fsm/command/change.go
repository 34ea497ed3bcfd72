package command

import (
	"bytes"
	"strconv"

	"github.com/lockstepkv/lockstep/store"
	"github.com/lockstepkv/lockstep/store/effect"
	"github.com/lockstepkv/lockstep/store/value/hash"
	"github.com/lockstepkv/lockstep/store/value/list"
)

// This file has all the ways in which a command changes the store. Each says what it did
// to Effects, if anybody wants to know: who adds a command cannot forget it.

// Put sets key to a copy of value, with an expiry time (0 for none), and returns the new
// entry. raw as in store.Put.
func (c *Ctx) Put(key, value []byte, at int64, raw bool) *store.Entry {
	if c.Effects == nil {
		return c.Store.Put(key, value, at, raw)
	}
	fresh := c.Store.Get(key) == nil
	return c.wasPut(c.Store.Put(key, value, at, raw), fresh)
}

func (c *Ctx) wasPut(e *store.Entry, fresh bool) *store.Entry {
	c.Effects.Add(effect.Effect{Kind: effect.Put, New: fresh, Key: e.Key(), Entry: e})
	return e
}

// PutCollection sets key to v, a collection with an element that belongs to the store from
// then on, with an expiry time (0 for none), and returns the new entry.
func (c *Ctx) PutCollection(key []byte, v store.Collection, at int64) *store.Entry {
	if c.Effects == nil {
		return c.Store.PutCollection(key, v, at)
	}
	fresh := c.Store.Get(key) == nil
	return c.wasPut(c.Store.PutCollection(key, v, at), fresh)
}

// UpdateHash lets change do what it likes to the hash of e, and returns the new entry, nil
// when no field is left and the key is gone. change reports whether it changed anything. It
// says to edits what it did, unless that is nil. A change that says nothing counts as one of
// the whole value, which costs more to write down.
func (c *Ctx) UpdateHash(e *store.Entry, change func(h *hash.Hash, edits *effect.Edits) bool) *store.Entry {
	return update(c, e, c.Store.UpdateHash, change)
}

// UpdateList is UpdateHash for the list of e.
func (c *Ctx) UpdateList(e *store.Entry, change func(l *list.List, edits *effect.Edits) bool) *store.Entry {
	return update(c, e, c.Store.UpdateList, change)
}

func update[P any](c *Ctx, e *store.Entry, do func(*store.Entry, func(P) bool) *store.Entry,
	change func(P, *effect.Edits) bool) *store.Entry {
	if c.Effects == nil {
		return do(e, func(v P) bool { return change(v, nil) })
	}
	var edits effect.Edits
	changed := false
	now := do(e, func(v P) bool {
		changed = change(v, &edits)
		return changed
	})
	switch {
	case !changed:
	case now == nil:
		c.Effects.Gone(e.Key(), effect.Command)
	case len(edits.List) == 0:
		c.wasPut(now, false)
	default:
		c.Effects.Add(effect.Effect{Kind: effect.Change, Edits: edits.List, Key: now.Key(), Entry: now})
	}
	return now
}

// Append makes e's value longer by tail.
func (c *Ctx) Append(e *store.Entry, tail []byte) {
	e = c.Store.Append(e, tail)
	if c.Effects != nil {
		c.Effects.Add(effect.Effect{Kind: effect.Append, Tail: len(tail), Key: e.Key(), Entry: e})
	}
}

// Range are the bytes of a string from one offset up to, without, another.
type Range struct{ From, To int }

// Overwrite makes the string under key n bytes long, no shorter than that of e, with zeros at
// its end, and lets change do what it likes to its bytes. With e nil whatever is there gives
// way to a new string without a lifetime. change returns what it wrote, nothing if it changed
// nothing. The string becomes raw.
func (c *Ctx) Overwrite(key []byte, e *store.Entry, n int, change func(value []byte) []Range) {
	fresh := c.Effects != nil && e == nil && c.Store.Get(key) == nil
	was := 0
	if e != nil {
		was = e.Len()
	}
	var wrote []Range
	now := c.Store.Overwrite(key, e, n, func(value []byte) bool {
		wrote = change(value)
		return len(wrote) > 0
	})
	switch {
	case c.Effects == nil || now == e:
	case e == nil:
		c.wasPut(now, fresh)
	default:
		c.Effects.Add(effect.Effect{Kind: effect.Change, Edits: overwritten(now, was, wrote), Key: now.Key(), Entry: now})
	}
}

// overwritten are the edits of a string that was so long.
func overwritten(e *store.Entry, was int, wrote []Range) (edits []effect.Edit) {
	reached := was
	for _, r := range wrote {
		reached = max(reached, r.To)
	}
	if n := e.Len(); reached < n || len(wrote) == 0 {
		wrote = append(wrote, Range{n - 1, n})
	}
	for _, r := range wrote {
		edits = append(edits, effect.Edit{
			[]byte("SETRANGE"), strconv.AppendInt(nil, int64(r.From), 10), bytes.Clone(e.Look()[r.From:r.To]),
		})
	}
	return edits
}

// SetExpireAt gives e another expiry time, 0 for none.
func (c *Ctx) SetExpireAt(e *store.Entry, at int64) {
	e = c.Store.SetExpireAt(e, at)
	if c.Effects != nil {
		c.Effects.Add(effect.Effect{Kind: effect.Expire, Key: e.Key(), Entry: e})
	}
}

// ExpireAt gives e a time to expire, or deletes it when that has come.
func (c *Ctx) ExpireAt(e *store.Entry, at int64) {
	if at <= c.Now {
		c.Delete(e)
		return
	}
	c.SetExpireAt(e, at)
}

// Delete removes e.
func (c *Ctx) Delete(e *store.Entry) {
	c.Store.Delete(e)
	if c.Effects != nil {
		c.Effects.Gone(e.Key(), effect.Command)
	}
}

// Remove drops whatever is stored under key, live or not.
func (c *Ctx) Remove(key []byte) {
	if e := c.Store.Get(key); e != nil {
		c.Delete(e)
	}
}

// Rename moves e to another key, over whatever is there.
func (c *Ctx) Rename(e *store.Entry, to []byte) {
	c.Remove(to)
	moved := c.Store.Rename(e, to)
	if c.Effects != nil {
		c.Effects.Gone(e.Key(), effect.Command)
		c.wasPut(moved, true)
	}
}

// Copy puts e's value and expiry time under another key too, over whatever is there.
func (c *Ctx) Copy(e *store.Entry, to []byte) {
	c.Remove(to)
	copied := c.Store.Copy(e, to)
	if c.Effects != nil {
		c.wasPut(copied, true)
	}
}

// Clear removes everything.
func (c *Ctx) Clear() {
	c.Store.Clear()
	if c.Effects != nil {
		c.Effects.Add(effect.Effect{Kind: effect.Flush})
	}
}

// Begin makes the changes that follow such that Rollback takes them back, and what was said
// of them. Commit or Rollback ends that. It does not nest.
func (c *Ctx) Begin() {
	c.Store.Begin()
	c.begun = c.Effects.Mark()
}

// Commit keeps the changes since Begin.
func (c *Ctx) Commit() { c.Store.Commit() }

// Rollback takes back the changes since Begin.
func (c *Ctx) Rollback() {
	c.Store.Rollback()
	c.Effects.Back(c.begun)
}
