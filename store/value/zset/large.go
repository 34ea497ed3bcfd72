package zset

import (
	"bytes"

	"github.com/cespare/xxhash/v2"
	"github.com/lockstepkv/lockstep/store/value/btree"
)

// inlineMember is the length up to which a member lies in a leaf of both trees. A longer
// one is one allocation that both refer to.
const inlineMember = 48

// large is the large form.
type large struct {
	members *btree.Tree // hash of the member, member: its score
	scores  *btree.Tree // key of the score, member: nothing, or a byte when the score is -0
}

func newLarge() *large {
	return &large{members: btree.New(inlineMember), scores: btree.New(inlineMember)}
}

func hashOf(member []byte) uint64 { return xxhash.Sum64(member) }

func (l *large) score(member []byte) (float64, bool) {
	v, ok := l.members.Get(hashOf(member), member)
	if !ok {
		return 0, false
	}
	score, _ := readScore(v)
	return score, true
}

// set gives member a score, and reports which it had before.
func (l *large) set(hash uint64, member []byte, score float64) (was float64, found, changed bool) {
	var at btree.Cursor
	var buf [maxScoreBytes]byte
	value := appendScore(buf[:0], score)
	l.members.Seek(&at, hash, member)
	old, found := at.Value()
	if found {
		if was, _ = readScore(old); was == score {
			return was, true, false
		}
		if len(member) > inlineMember {
			member = at.Name()
		}
		l.members.Bytes += int64(len(value) - len(old))
		l.unorder(was, member)
	} else {
		if len(member) > inlineMember {
			member = bytes.Clone(member)
		}
		l.members.Bytes += memberBytes(len(member), len(value))
	}
	at.SetShared(member, value)
	l.order(score, member)
	return was, found, true
}

// order puts a member that is in the one tree into the other.
func (l *large) order(score float64, member []byte) {
	var at btree.Cursor
	l.scores.Seek(&at, keyOf(score), member)
	if isNegativeZero(score) {
		at.SetShared(member, []byte{1})
	} else {
		at.SetShared(member, nil)
	}
}

func (l *large) unorder(score float64, member []byte) {
	var at btree.Cursor
	l.scores.Seek(&at, keyOf(score), member)
	at.Remove()
}

// remove takes out a member that is there with that score.
func (l *large) remove(hash uint64, member []byte, score float64) {
	var at btree.Cursor
	l.members.Seek(&at, hash, member)
	old, _ := at.Value()
	l.members.Bytes -= memberBytes(len(member), len(old))
	at.Remove()
	l.unorder(score, member)
}

// element makes what callers see of a record in order of scores.
func element(key uint64, value []byte) float64 {
	if len(value) > 0 {
		return negativeZero
	}
	return scoreOf(key)
}
