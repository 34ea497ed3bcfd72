package rdb

import (
	"encoding/binary"
	"math"
	"strconv"

	"github.com/lockstepkv/lockstep/store/value/zset"
)

// zset writes the number of members, and each with its score, in order.
func (e *encoder) zset(z *zset.ZSet) {
	e.length(uint64(z.Len()))
	z.Ascend(0, func(member []byte, score float64) bool {
		e.string(member)
		e.uint64(math.Float64bits(score))
		return e.err == nil
	})
}

// zset reads the value of a key of one of the types for sorted sets.
func (f *fileReader) zset(t byte, key []byte, large bool) (*zset.ZSet, error) {
	z := zsetReader{z: zset.New(), key: key}
	switch {
	case large:
		z.z.Grow()
	case f.info.Lockstep:
		z.lim = zset.MaxLimits()
	default:
		z.lim = f.opt.Packed.ZSet()
	}
	if err := f.readZSet(t, &z); err != nil {
		return nil, err
	}
	if f.info.Lockstep && z.z.Packed() == large {
		return nil, Damaged("key %q is too large for the form that it has", key)
	}
	return z.z, nil
}

// readZSet reads a sorted set of one of the types for those into z.
func (d *decoder) readZSet(t byte, z *zsetReader) error {
	err := d.scoredMembers(t, z)
	switch {
	case err != nil:
		return err
	case z.pending:
		return Damaged("the last member of key %q has no score", z.key)
	case z.z.Len() == 0:
		return Damaged("key %q is a sorted set without members", z.key)
	}
	return nil
}

func (d *decoder) scoredMembers(t byte, z *zsetReader) error {
	if t == typeZSet || t == typeZSetText {
		n, err := d.plainLength()
		for ; n > 0 && err == nil; n-- {
			err = d.memberAndScore(t, z)
		}
		return err
	}
	block, err := d.string(&d.valBuf)
	switch {
	case err != nil:
		return err
	case t == typeZSetListpack:
		return eachInListpack(block, z.take)
	default:
		return eachInZiplist(block, z.take)
	}
}

func (d *decoder) memberAndScore(t byte, z *zsetReader) error {
	member, err := d.held(&d.nameBuf)
	if err != nil {
		return err
	}
	if t == typeZSetText {
		score, err := d.scoreText()
		if err != nil {
			return err
		}
		return z.add(member, score)
	}
	p, err := d.next(8)
	if err != nil {
		return err
	}
	return z.add(member, math.Float64frombits(binary.LittleEndian.Uint64(p)))
}

// Lengths of a score as text that are none.
const (
	scoreNaN         = 253
	scoreInfinity    = 254
	scoreNegInfinity = 255
)

// scoreText reads a score with its length before it, in one byte.
func (d *decoder) scoreText() (float64, error) {
	n, err := d.byte()
	if err != nil {
		return 0, err
	}
	switch n {
	case scoreNaN:
		return math.NaN(), nil
	case scoreInfinity:
		return math.Inf(1), nil
	case scoreNegInfinity:
		return math.Inf(-1), nil
	}
	p, err := d.next(int(n))
	if err != nil {
		return 0, err
	}
	return parseScore(p)
}

func parseScore(p []byte) (float64, error) {
	score, err := strconv.ParseFloat(string(p[:min(len(p), 256)]), 64)
	if err != nil {
		return 0, Damaged("%q is no score", p[:min(len(p), 256)])
	}
	return score, nil
}

// zsetReader fills a sorted set with members and scores that come in turn.
type zsetReader struct {
	z       *zset.ZSet
	lim     zset.Limits
	key     []byte
	member  []byte // waits for its score
	pending bool
}

func (r *zsetReader) take(p []byte) error {
	if r.pending = !r.pending; r.pending {
		r.member = append(r.member[:0], p...)
		return nil
	}
	score, err := parseScore(p)
	if err != nil {
		return err
	}
	return r.add(r.member, score)
}

func (r *zsetReader) add(member []byte, score float64) error {
	if math.IsNaN(score) {
		return Damaged("member %q of key %q has a score that is not a number", member[:min(len(member), 256)], r.key)
	}
	if added, _, _ := r.z.Add(member, score, r.lim); !added {
		return Damaged("member %q of key %q comes twice", member[:min(len(member), 256)], r.key)
	}
	return nil
}
