package rdb

import (
	"cmp"
	"encoding/binary"
	"errors"
	"io"

	"github.com/lockstepkv/lockstep/store"
	"github.com/lockstepkv/lockstep/store/value/hash"
	"github.com/lockstepkv/lockstep/store/value/list"
)

// ErrTrailer means that a dump is of a version that is not known, or that its checksum
// is not that of its bytes. Redis speaks of it before it looks at the value.
var ErrTrailer = errors.New("DUMP payload version or checksum are wrong")

// ErrTooLarge means that a dump stands for more bytes than it may.
var ErrTooLarge = errors.New("the value is larger than allowed")

// A dump is a value as DUMP answers it and RESTORE takes it:
//
//	value-type value version:2 crc64:8
//
// Both numbers are little endian; the sum covers what stands before it.
const dumpTrailer = 2 + TrailerLen

// AppendDump appends the value of e as a dump. It has neither the key nor its lifetime.
func AppendDump(dst []byte, e *store.Entry) ([]byte, error) {
	t, ok := typeOf(e)
	if !ok {
		return dst, Unsupported("key %q is a %v", e.Key(), e.Type())
	}
	enc := encoder{buf: dst}
	enc.byte(t)
	enc.value(e)
	enc.buf = binary.LittleEndian.AppendUint16(enc.buf, versionWritten)
	return binary.LittleEndian.AppendUint64(enc.buf, crc64Update(0, enc.buf[len(dst):])), nil
}

// ReadDump returns the value of a dump of this package or of Redis: the item's Value, which
// may share memory with dump, or its Collection, packed as far as packed allows. The rest of the
// item is zero. What is compressed in it, and could come to 88 times its length, is refused before
// it is unpacked if it comes to more than most bytes. An error wraps ErrTrailer, or is a
// *CorruptError, which may wrap ErrTooLarge.
func ReadDump(dump []byte, packed *store.Limits, most int64) (it store.Item, err error) {
	if len(dump) < dumpTrailer {
		return it, ErrTrailer
	}
	body, trailer := dump[:len(dump)-dumpTrailer], dump[len(dump)-dumpTrailer:]
	version := int(binary.LittleEndian.Uint16(trailer))
	if version > versionKnown || crc64Update(0, dump[:len(body)+2]) != binary.LittleEndian.Uint64(trailer[2:]) {
		return it, ErrTrailer
	}
	d := decoder{source: &source{buf: body, end: len(body), readErr: io.EOF}, version: version, bounded: true, most: uint64(max(most, 0))}
	if it, err = d.dumped(packed); err != nil {
		return store.Item{}, &CorruptError{File: "dump", Offset: d.offset(), Err: err}
	}
	return it, nil
}

// dumped reads a type and a value, behind which nothing may stand.
func (d *decoder) dumped(packed *store.Limits) (it store.Item, err error) {
	t, err := d.byte()
	if err != nil {
		return it, err
	}
	switch t {
	case typeString:
		it.Value, err = d.string(&d.valBuf)
	case typeHash, typeHashListpack, typeHashZiplist:
		h := hashReader{h: hash.New(), lim: packed.Hash()}
		err = d.readHash(t, &h)
		it.Collection = h.h
	case typeList, typeListZiplist, typeQuicklist, typeQuicklist2:
		l := list.New()
		err = d.readList(t, l, nil)
		l.Fit(packed.List())
		it.Collection = l
	default:
		if name := typeName(t); name != "" {
			return it, Unsupported("a value that is %s (RDB type %d)", name, t)
		}
		return it, d.unknown("unknown type %d", t)
	}
	if err != nil {
		return it, err
	}
	if end, err := d.atEnd(); !end {
		return it, cmp.Or(err, Damaged("more bytes after the value"))
	}
	return it, nil
}
