package shard

import (
	"encoding/binary"

	"github.com/lockstepkv/lockstep/store"
)

// The leader chooses what to evict, but every replica answers reads. A follower
// tells the leader which keys it has shown, by their hashes, with the questions
// that it asks anyway: see ReadLog for how little that promises, and
// callReadIndex for the questions.

// switchReadLog makes this replica remember reads while somebody else may want
// to know of them.
func (g *Group) switchReadLog() {
	_, evicts := g.memoryLimit()
	g.fsm.ReadLog().Switch(evicts && !g.Serving() && g.memory.Load().Eviction.Policy.Reads())
}

// appendReads appends what l holds to a message.
func appendReads(msg []byte, l *store.ReadLog) []byte {
	for _, hash := range l.Take(nil) {
		msg = binary.LittleEndian.AppendUint64(msg, hash)
	}
	return msg
}

// countReads is the leader's side. A rest that is no whole number is left alone:
// nothing here is worth an error.
func (g *Group) countReads(msg []byte) {
	if len(msg) < 8 || !g.Serving() {
		return
	}
	hashes := make([]uint64, 0, len(msg)/8)
	for ; len(msg) >= 8; msg = msg[8:] {
		hashes = append(hashes, binary.LittleEndian.Uint64(msg))
	}
	g.fsm.TouchAll(hashes, g.stamp().Wall)
}
