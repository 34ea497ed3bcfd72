package rdb

import (
	"encoding/binary"
	"math"
	"strconv"

	"github.com/lockstepkv/lockstep/store/value/set"
)

// intsetHead is what an intset begins with: the bytes of an integer, and their number, 4
// bytes each, little endian. The integers follow, ascending.
const intsetHead = 8

// setType returns the RDB type as which a set is written: every Redis from version 4 on reads
// both, and chooses the form by its own limits.
func setType(s *set.Set) byte {
	if s.Ints() {
		return typeSetIntset
	}
	return typeSet
}

// set writes the number of members and each of them, or integers as one string.
func (e *encoder) set(s *set.Set) {
	if s.Ints() {
		block := binary.LittleEndian.AppendUint32(nil, uint32(s.IntWidth()))
		block = binary.LittleEndian.AppendUint32(block, uint32(s.Len()))
		e.string(s.AppendInts(block))
		return
	}
	e.length(uint64(s.Len()))
	s.Each(func(member []byte) bool {
		e.string(member)
		return e.err == nil
	})
}

// set reads the value of a key of one of the types for sets.
func (f *fileReader) set(t byte, key []byte, large bool) (*set.Set, error) {
	r := setReader{key: key}
	switch {
	case f.info.Lockstep && t == typeSetIntset:
		return f.ints(key, large)
	case f.info.Lockstep && large:
		r.set = set.NewLarge()
	case f.info.Lockstep:
		r.set, r.lim = new(set.Set), set.MaxLimits()
	default:
		r.set, r.lim = set.NewInts(), f.opt.Packed.Sets()
	}
	if err := f.readSet(t, &r); err != nil {
		return nil, err
	}
	if f.info.Lockstep && r.set.Packed() == large {
		return nil, Damaged("key %q is too large for the form that it has", key)
	}
	return r.set, nil
}

// ints reads a set of integers as it was written.
func (f *fileReader) ints(key []byte, large bool) (*set.Set, error) {
	width, ints, err := f.intset()
	if err != nil {
		return nil, err
	}
	s := set.OfInts(width, ints)
	if s == nil || s.Len() == 0 || large {
		return nil, Damaged("key %q is no set of integers", key)
	}
	return s, nil
}

func (d *decoder) intset() (width int, ints []byte, err error) {
	block, err := d.string(&d.valBuf)
	if err != nil {
		return 0, nil, err
	}
	if len(block) < intsetHead {
		return 0, nil, Damaged("an intset of %d bytes", len(block))
	}
	encoding, n := binary.LittleEndian.Uint32(block), binary.LittleEndian.Uint32(block[4:])
	if encoding != 2 && encoding != 4 && encoding != 8 || uint64(len(block)-intsetHead) != uint64(encoding)*uint64(n) {
		return 0, nil, Damaged("an intset of %d bytes does not have %d integers of %d", len(block), n, encoding)
	}
	return int(encoding), block[intsetHead:], nil
}

// readSet reads a set of one of the types for sets into r.
func (d *decoder) readSet(t byte, r *setReader) error {
	err := d.members(t, r)
	if err == nil && r.set.Len() == 0 {
		return Damaged("key %q is a set without members", r.key)
	}
	return err
}

func (d *decoder) members(t byte, r *setReader) error {
	switch t {
	case typeSetIntset:
		width, ints, err := d.intset()
		if err != nil {
			return err
		}
		r.expect(uint64(len(ints) / width))
		return eachInt(width, ints, r.add)
	case typeSetListpack:
		block, err := d.string(&d.valBuf)
		if err != nil {
			return err
		}
		return eachInListpack(block, r.add)
	}
	n, err := d.plainLength()
	if err != nil {
		return err
	}
	for r.expect(n); n > 0 && err == nil; n-- {
		var member []byte
		if member, err = d.string(&d.valBuf); err == nil {
			err = r.add(member)
		}
	}
	return err
}

// eachInt calls fn for integers as text.
func eachInt(width int, ints []byte, fn func([]byte) error) error {
	var text [20]byte
	last := int64(math.MinInt64)
	for at := 0; at < len(ints); at += width {
		var v int64
		switch p := ints[at:]; width {
		case 2:
			v = int64(int16(binary.LittleEndian.Uint16(p)))
		case 4:
			v = int64(int32(binary.LittleEndian.Uint32(p)))
		default:
			v = int64(binary.LittleEndian.Uint64(p))
		}
		if at > 0 && v <= last {
			return Damaged("the integers of an intset do not ascend: %d after %d", v, last)
		}
		last = v
		if err := fn(strconv.AppendInt(text[:0], v, 10)); err != nil {
			return err
		}
	}
	return nil
}

// setReader fills a set.
type setReader struct {
	set *set.Set
	lim set.Limits
	key []byte
}

// expect tells how many members come, if that is to be believed.
func (r *setReader) expect(n uint64) {
	if r.set.Ints() {
		r.set.Expect(int(min(n, 1<<31)), r.lim)
	}
}

func (r *setReader) add(member []byte) error {
	if !r.set.Add(member, r.lim) {
		return Damaged("member %q of key %q comes twice", member[:min(len(member), 256)], r.key)
	}
	return nil
}
