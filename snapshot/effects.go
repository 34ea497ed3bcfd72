package snapshot

import (
	"bytes"
	"strconv"

	"github.com/lockstepkv/lockstep/store"
)

// Command is a Redis command: its name and its arguments.
type Command = [][]byte

// appendFrom is the length of a value from which a change that leaves its
// beginning alone is written as APPEND. Below, SET costs no more.
const appendFrom = 64

// Recorder turns what a command did to a store into commands with the same
// effect that need no clock, no randomness and no condition: what an append-only
// file holds. Its OnChange is for store.Options.
//
// A key that changes several times between two calls of Take counts once. The
// zero value is ready to use and records nothing until Start. It has the store's
// rule of concurrency: one writer.
type Recorder struct {
	on      bool
	flushed bool // everything was removed; the changes came after
	changes map[string]*change
	order   []string // keys of changes, by the time of their first change
}

// change is what happened to one key.
type change struct{ before, after *store.Entry }

// Start begins to record. What happened before, such as filling the store from a
// snapshot, is not an effect.
func (r *Recorder) Start() { r.on = true }

// OnChange implements store.Options.OnChange.
func (r *Recorder) OnChange(before, after *store.Entry) {
	if !r.on {
		return
	}
	if before == nil && after == nil {
		r.flushed = true
		r.reset()
		return
	}
	e := after
	if e == nil {
		e = before
	}
	c := r.changes[e.Key()]
	if c == nil {
		if r.changes == nil {
			r.changes = make(map[string]*change)
		}
		c = &change{before: before}
		r.changes[e.Key()] = c
		r.order = append(r.order, e.Key())
	}
	c.after = after
}

func (r *Recorder) reset() {
	clear(r.changes)
	clear(r.order)
	r.order = r.order[:0]
}

// Take returns the commands that bring a store from where it was at the last
// call to where it is now. They share memory with the store's entries.
func (r *Recorder) Take() []Command {
	var cmds []Command
	if r.flushed {
		cmds = append(cmds, Command{[]byte("FLUSHALL")})
	}
	for _, key := range r.order {
		c := r.changes[key]
		if c.after != nil && c.after.Type() == store.Hash {
			cmds = appendHash(cmds, []byte(key), c)
		} else if cmd := c.command([]byte(key)); cmd != nil {
			cmds = append(cmds, cmd)
		}
	}
	r.flushed = false
	r.reset()
	return cmds
}

// command returns the shortest command that makes after out of before, or nil.
func (c *change) command(key []byte) Command {
	was, is := c.before, c.after
	switch {
	case is == nil && was == nil:
		return nil
	case is == nil:
		return Command{[]byte("DEL"), key}
	case was == nil || was.Type() != store.String || len(was.Bytes()) < appendFrom || !bytes.HasPrefix(is.Bytes(), was.Bytes()):
		return setCommand(key, is)
	}
	tail := is.Bytes()[len(was.Bytes()):]
	switch {
	case len(tail) == 0 && was.ExpireAt() == is.ExpireAt():
		return nil // set to what it was
	case was.ExpireAt() == is.ExpireAt():
		return Command{[]byte("APPEND"), key, tail}
	case len(tail) > 0:
		return setCommand(key, is)
	case is.ExpireAt() == 0:
		return Command{[]byte("PERSIST"), key}
	default:
		return Command{[]byte("PEXPIREAT"), key, millis(is)}
	}
}

// fieldsPerCommand is how many fields one HSET has.
const fieldsPerCommand = 512

// appendHash writes a whole hash, since old and new entry may show the same one.
func appendHash(cmds []Command, key []byte, c *change) []Command {
	if c.before != nil {
		cmds = append(cmds, Command{[]byte("DEL"), key})
	}
	var cmd Command
	c.after.Hash().Each(func(field, value []byte) bool {
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
	if c.after.ExpireAt() != 0 {
		cmds = append(cmds, Command{[]byte("PEXPIREAT"), key, millis(c.after)})
	}
	return cmds
}

func setCommand(key []byte, e *store.Entry) Command {
	if e.ExpireAt() == 0 {
		return Command{[]byte("SET"), key, e.Bytes()}
	}
	return Command{[]byte("SET"), key, e.Bytes(), []byte("PXAT"), millis(e)}
}

func millis(e *store.Entry) []byte { return strconv.AppendInt(nil, e.ExpireAt(), 10) }
