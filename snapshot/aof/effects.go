package aof

import (
	"bytes"
	"strconv"

	"github.com/lockstepkv/lockstep/store"
	"github.com/lockstepkv/lockstep/store/effect"
	"github.com/lockstepkv/lockstep/store/value/hash"
	"github.com/lockstepkv/lockstep/store/value/list"
)

// Command is a Redis command: its name and its arguments.
type Command = [][]byte

// shortValue is the length below which a value is written whole, as SET, whatever was done
// to it: that costs no more.
const shortValue = 64

// Commands returns what Redis has to do to see the same effects, all at once: a key that
// changed several times counts once. It needs no clock, no chance and no condition, and is
// the shortest that the effects themselves tell. The commands share memory with the store.
func Commands(effects []effect.Effect) []Command {
	var u unit
	for i := range effects {
		u.add(&effects[i])
	}
	return u.commands()
}

// unit is what effects that take place together come to.
type unit struct {
	flushed bool // everything was removed; the changes came after
	changes map[string]*change
	order   []*change // by the time of their first effect
}

// change is what effects on one key come to.
type change struct {
	effect.Effect
	was bool // the key was there before the first of them
}

func (u *unit) add(e *effect.Effect) {
	if e.Kind == effect.Flush {
		*u = unit{flushed: true}
		return
	}
	if c := u.changes[e.Key]; c != nil {
		c.then(e)
		return
	}
	if u.changes == nil {
		u.changes = make(map[string]*change)
	}
	c := &change{Effect: *e, was: e.Kind != effect.Put || !e.New}
	u.changes[e.Key] = c
	u.order = append(u.order, c)
}

// then makes of c and an effect on the same key what both of them come to: two of a
// kind remain what they are, and of any others only the whole value tells.
func (c *change) then(e *effect.Effect) {
	kind, tail := e.Kind, e.Tail
	switch {
	case kind == effect.Delete:
	case kind == effect.Append && c.Kind == effect.Append:
		tail += c.Tail
	case c.edits(e):
		kind = effect.Change
	case kind != c.Kind:
		kind = effect.Put
	}
	c.Kind, c.Tail, c.Entry = kind, tail, e.Entry
}

// edits reports whether c and an effect on the same collection are edits of it, one after the
// other, and makes c both: another lifetime is an edit like any.
func (c *change) edits(e *effect.Effect) bool {
	if c.Kind != effect.Change && e.Kind != effect.Change {
		return false
	}
	before, after := editsOf(&c.Effect), editsOf(e)
	if before == nil || after == nil {
		return false
	}
	c.Edits = append(before[:len(before):len(before)], after...)
	return true
}

// editsOf returns what an effect does to a collection that is there, nil if that is more than
// edits.
func editsOf(e *effect.Effect) []effect.Edit {
	switch e.Kind {
	case effect.Change:
		return e.Edits
	case effect.Expire:
		return []effect.Edit{lifetime(e.Entry.ExpireAt())}
	}
	return nil
}

func (u *unit) commands() []Command {
	var cmds []Command
	if u.flushed {
		cmds = append(cmds, Command{[]byte("FLUSHALL")})
	}
	for _, c := range u.order {
		cmds = c.append(cmds)
	}
	return cmds
}

// append adds what makes Redis follow one change.
func (c *change) append(cmds []Command) []Command {
	key := []byte(c.Key)
	switch {
	case c.Kind == effect.Delete && !c.was: // it came and went
		return cmds
	case c.Kind == effect.Delete:
		return append(cmds, Command{[]byte("DEL"), key})
	case c.Kind == effect.Expire && c.Entry.Type() != store.String:
		return append(cmds, expireCommand(key, c.Entry.ExpireAt()))
	case c.Kind == effect.Change:
		for _, edit := range c.Edits {
			cmds = append(cmds, withKey(edit, key))
		}
		return cmds
	case c.Entry.Type() != store.String:
		return appendCollection(cmds, key, c)
	}
	return append(cmds, c.ofString(key))
}

func (c *change) ofString(key []byte) Command {
	n := c.Entry.Len()
	switch {
	case c.Kind == effect.Append && n-c.Tail >= shortValue:
		return Command{[]byte("APPEND"), key, c.Entry.Part(n-c.Tail, n)}
	case c.Kind == effect.Expire && n >= shortValue:
		return expireCommand(key, c.Entry.ExpireAt())
	case c.Entry.ExpireAt() == 0:
		return Command{[]byte("SET"), key, c.Entry.Bytes()}
	}
	return Command{[]byte("SET"), key, c.Entry.Bytes(), []byte("PXAT"), decimal(c.Entry.ExpireAt())}
}

func expireCommand(key []byte, at int64) Command { return withKey(lifetime(at), key) }

// lifetime is the edit that gives a key an expiry time, 0 for none.
func lifetime(at int64) effect.Edit {
	if at == 0 {
		return effect.Edit{[]byte("PERSIST")}
	}
	return effect.Edit{[]byte("PEXPIREAT"), decimal(at)}
}

// withKey makes a command of an edit.
func withKey(edit effect.Edit, key []byte) Command {
	return append(Command{edit[0], key}, edit[1:]...)
}

// fieldsPerCommand is how many fields one HSET has.
const fieldsPerCommand = 512

// elementsPerCommand is how many elements one RPUSH has.
const elementsPerCommand = 1024

// appendCollection writes a whole collection.
func appendCollection(cmds []Command, key []byte, c *change) []Command {
	if c.was {
		cmds = append(cmds, Command{[]byte("DEL"), key})
	}
	switch v := c.Entry.Collection().(type) {
	case *hash.Hash:
		cmds = appendFields(cmds, key, v)
	case *list.List:
		cmds = appendElements(cmds, key, v)
	}
	if at := c.Entry.ExpireAt(); at != 0 {
		cmds = append(cmds, expireCommand(key, at))
	}
	return cmds
}

func appendFields(cmds []Command, key []byte, h *hash.Hash) []Command {
	var cmd Command
	h.Each(func(field, value []byte) bool {
		if len(cmd) == 0 {
			cmd = Command{[]byte("HSET"), key}
		}
		if cmd = append(cmd, bytes.Clone(field), bytes.Clone(value)); len(cmd) == 2+2*fieldsPerCommand {
			cmds, cmd = append(cmds, cmd), nil
		}
		return true
	})
	if len(cmd) > 0 {
		cmds = append(cmds, cmd)
	}
	return cmds
}

func appendElements(cmds []Command, key []byte, l *list.List) []Command {
	var cmd Command
	l.Forward(0, func(e []byte) bool {
		if len(cmd) == 0 {
			cmd = Command{[]byte("RPUSH"), key}
		}
		if cmd = append(cmd, bytes.Clone(e)); len(cmd) == 2+elementsPerCommand {
			cmds, cmd = append(cmds, cmd), nil
		}
		return true
	})
	if len(cmd) > 0 {
		cmds = append(cmds, cmd)
	}
	return cmds
}

func decimal(n int64) []byte { return strconv.AppendInt(nil, n, 10) }
