package command

import (
	"strconv"

	"github.com/lockstepkv/lockstep/resp"
	"github.com/lockstepkv/lockstep/store/keyslot"
)

// Elsewhere is what a command answers instead of running if any of its keys is in a slot that
// this shard does not own. The router has sent it here by what it knew; what counts is who owns
// the slot where the command is applied, or by the state that it reads. Nothing has happened.
func (c *Ctx) Elsewhere(sp *Spec, args Args) (resp.Value, bool) {
	if c.Slots.Whole() {
		return resp.Value{}, false
	}
	foreign := -1
	// What an error means, the command itself will say.
	_ = sp.Slots(args, func(slot uint16) bool {
		if !c.Slots.Has(slot) {
			foreign = int(slot)
		}
		return foreign < 0
	})
	if foreign < 0 {
		return resp.Value{}, false
	}
	return elsewhere(uint16(foreign)), true
}

// SlotElsewhere is Elsewhere for what asks for one slot.
func (c *Ctx) SlotElsewhere(slot uint16) (resp.Value, bool) {
	if c.Slots.Whole() || c.Slots.Has(slot) {
		return resp.Value{}, false
	}
	return elsewhere(slot), true
}

// elsewhere has the code for those whose requests are forwarded: the class tells the router to
// redirect the others.
func elsewhere(slot uint16) resp.Value {
	text := "TRYAGAIN slot " + strconv.Itoa(int(slot)) + " is on another shard, nothing was applied"
	return resp.ErrorReply(resp.ClassedError{Text: resp.Error(text), Class: resp.ClassElsewhere})
}

// unitElsewhere is Elsewhere for a transaction with its watches.
func (t *Table) unitElsewhere(c *Ctx, u *Unit) (resp.Value, bool) {
	if c.Slots.Whole() {
		return resp.Value{}, false
	}
	for _, w := range u.Watches {
		if v, no := c.SlotElsewhere(keyslot.Of(w.Key)); no {
			return v, true
		}
	}
	for _, args := range u.Cmds {
		if sp, err := t.CheckData(args); err == nil {
			if v, no := c.Elsewhere(sp, args); no {
				return v, true
			}
		}
	}
	return resp.Value{}, false
}
