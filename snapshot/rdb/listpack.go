package rdb

import (
	"encoding/binary"
	"strconv"
)

// The blocks in which Redis keeps small collections, and saves them as they are.
// Every length in them is checked against the bytes that are there.

const (
	packEnd = 0xff // ends both kinds of block

	listpackHeader = 4 + 2     // length of the block, number of elements
	ziplistHeader  = 4 + 4 + 2 // length of the block, where its last entry is, number of entries
	countUnknown   = 1<<16 - 1 // as the number: too many to count
)

// packReader goes through the elements of a block.
type packReader struct {
	rest []byte
	text []byte // of a number
}

// take returns the next n bytes.
func (r *packReader) take(n uint64) ([]byte, error) {
	if n > uint64(len(r.rest)) {
		return nil, Damaged("an element is longer than its block")
	}
	p := r.rest[:n]
	r.rest = r.rest[n:]
	return p, nil
}

// number takes a signed number of n bytes, little endian, as text.
func (r *packReader) number(n uint64) ([]byte, error) {
	p, err := r.take(n)
	if err != nil {
		return nil, err
	}
	var v uint64
	for i := range p {
		v |= uint64(p[i]) << (8 * i)
	}
	shift := 64 - 8*n
	return r.int(int64(v<<shift) >> shift), nil
}

func (r *packReader) int(n int64) []byte {
	r.text = strconv.AppendInt(r.text[:0], n, 10)
	return r.text
}

// each calls fn for the count elements that next finds.
func (r *packReader) each(count int, next func() ([]byte, error), fn func([]byte) error) error {
	n := 0
	for {
		switch {
		case len(r.rest) == 0:
			return Damaged("a block without its end")
		case r.rest[0] == packEnd && len(r.rest) > 1:
			return Damaged("%d bytes after the end of a block", len(r.rest)-1)
		case r.rest[0] == packEnd && count != n && count != countUnknown:
			return Damaged("a block speaks of %d elements, and has %d", count, n)
		case r.rest[0] == packEnd:
			return nil
		}
		p, err := next()
		if err != nil {
			return err
		}
		if err := fn(p); err != nil {
			return err
		}
		n++
	}
}

// eachInListpack calls fn for the elements of a listpack. What it is given is valid
// during the call.
//
//	length:4 count:2 element* 0xff
//	element = encoding data length-of-both-backwards
func eachInListpack(block []byte, fn func([]byte) error) error {
	if len(block) < listpackHeader+1 || uint64(binary.LittleEndian.Uint32(block)) != uint64(len(block)) {
		return Damaged("a listpack of %d bytes does not have the length that it says", len(block))
	}
	r := packReader{rest: block[listpackHeader:]}
	return r.each(int(binary.LittleEndian.Uint16(block[4:])), r.listpackElement, fn)
}

func (r *packReader) listpackElement() ([]byte, error) {
	before := len(r.rest)
	p, err := r.listpackData()
	if err != nil {
		return nil, err
	}
	size := uint64(before - len(r.rest))
	back, err := r.take(backLength(size))
	if err != nil {
		return nil, err
	}
	var says uint64
	for i, b := range back {
		if i > 0 != (b&0x80 != 0) {
			return nil, Damaged("an element of a listpack ends in bytes that are no length")
		}
		says = says<<7 | uint64(b&0x7f)
	}
	if says != size {
		return nil, Damaged("an element of a listpack has %d bytes, and says %d at its end", size, says)
	}
	return p, nil
}

// backLength is how many bytes Redis gives the length of an element, 7 bits in each.
// It stops one short of what two bytes and more could hold.
func backLength(size uint64) uint64 {
	switch {
	case size < 1<<7:
		return 1
	case size < 1<<14-1:
		return 2
	case size < 1<<21-1:
		return 3
	case size < 1<<28-1:
		return 4
	}
	return 5
}

func (r *packReader) listpackData() ([]byte, error) {
	head, err := r.take(1)
	if err != nil {
		return nil, err
	}
	b := head[0]
	switch {
	case b < 0x80: // 7 bits
		return r.int(int64(b)), nil
	case b < 0xc0: // string, 6 bits of length
		return r.take(uint64(b & 0x3f))
	case b < 0xe0: // 13 bits, signed
		low, err := r.take(1)
		if err != nil {
			return nil, err
		}
		return r.int(int64(b&0x1f)<<59>>51 | int64(low[0])), nil
	case b < 0xf0: // string, 12 bits of length
		low, err := r.take(1)
		if err != nil {
			return nil, err
		}
		return r.take(uint64(b&0x0f)<<8 | uint64(low[0]))
	}
	switch b {
	case 0xf0:
		n, err := r.take(4)
		if err != nil {
			return nil, err
		}
		return r.take(uint64(binary.LittleEndian.Uint32(n)))
	case 0xf1, 0xf2, 0xf3:
		return r.number(uint64(b) - 0xef) // 2, 3, 4 bytes
	case 0xf4:
		return r.number(8)
	}
	return nil, Damaged("unknown encoding 0x%02x in a listpack", b)
}

// eachInZiplist calls fn for the elements of a ziplist, as eachInListpack.
//
//	length:4 last:4 count:2 entry* 0xff
//	entry = length-of-the-entry-before encoding data
func eachInZiplist(block []byte, fn func([]byte) error) error {
	if len(block) < ziplistHeader+1 || uint64(binary.LittleEndian.Uint32(block)) != uint64(len(block)) {
		return Damaged("a ziplist of %d bytes does not have the length that it says", len(block))
	}
	r := packReader{rest: block[ziplistHeader:]}
	before := 0
	next := func() ([]byte, error) {
		start := len(r.rest)
		if err := r.ziplistBefore(before); err != nil {
			return nil, err
		}
		p, err := r.ziplistData()
		before = start - len(r.rest)
		return p, err
	}
	return r.each(int(binary.LittleEndian.Uint16(block[8:])), next, fn)
}

// ziplistBefore takes the length of the entry before, which must be as given.
func (r *packReader) ziplistBefore(want int) error {
	head, err := r.take(1)
	if err != nil {
		return err
	}
	says := uint64(head[0])
	if says == 0xfe {
		p, err := r.take(4)
		if err != nil {
			return err
		}
		says = uint64(binary.LittleEndian.Uint32(p))
	}
	if says != uint64(want) {
		return Damaged("an entry of a ziplist has %d bytes, the next one says %d", want, says)
	}
	return nil
}

func (r *packReader) ziplistData() ([]byte, error) {
	head, err := r.take(1)
	if err != nil {
		return nil, err
	}
	b := head[0]
	switch b >> 6 {
	case 0: // string, 6 bits of length
		return r.take(uint64(b))
	case 1: // string, 14 bits of length
		low, err := r.take(1)
		if err != nil {
			return nil, err
		}
		return r.take(uint64(b&0x3f)<<8 | uint64(low[0]))
	case 2:
		n, err := r.take(4)
		if err != nil {
			return nil, err
		}
		return r.take(uint64(binary.BigEndian.Uint32(n)))
	}
	switch {
	case b == 0xc0:
		return r.number(2)
	case b == 0xd0:
		return r.number(4)
	case b == 0xe0:
		return r.number(8)
	case b == 0xf0:
		return r.number(3)
	case b == 0xfe:
		return r.number(1)
	case b > 0xf0 && b < 0xfe:
		return r.int(int64(b&0x0f) - 1), nil
	}
	return nil, Damaged("unknown encoding 0x%02x in a ziplist", b)
}
